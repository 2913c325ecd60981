"""Say what a message is in one line: the rule that the list, the identity page and the API share."""

from app.instagram.events import EventKind
from app.text import is_blank

EMPTY = "Empty message"
_LABELS: dict[str, str] = {
    EventKind.TEXT: EMPTY,
    EventKind.IMAGE: "Photo",
    EventKind.VIDEO: "Video",
    EventKind.AUDIO: "Voice message",
    EventKind.FILE: "File",
    EventKind.STICKER: "Sticker",
    EventKind.LINK: "Shared a link",
    EventKind.LOCATION: "Shared a location",
    EventKind.SHARE: "Shared a post",
    EventKind.REEL: "Shared a reel",
    EventKind.STORY: "Shared a story",
    EventKind.STORY_MENTION: "Mentioned you in their story",
    EventKind.STORY_REPLY: "Replied to your story",
    EventKind.TEMPLATE: "Shared a card",
    EventKind.EPHEMERAL: "Disappearing photo or video",
    EventKind.POSTBACK: "Tapped a button",
    EventKind.REFERRAL: "Came through a link",
    EventKind.OPTIN: "Asked to be notified",
    EventKind.HANDOVER: "Handed over",
    EventKind.UNSENT: "Message deleted",
    EventKind.UNSUPPORTED: "Unsupported message",
}
_OURS: dict[str, str] = {
    EventKind.STORY_MENTION: "Mentioned them in your story",
    EventKind.STORY_REPLY: "Replied to their story",
}


def preview(kind: str, text: str | None, *, outgoing: bool) -> str:
    """Return a message's text, or what it is when it has no visible text."""
    return text if text and not is_blank(text) else label(kind, outgoing=outgoing)


def label(kind: str, *, outgoing: bool) -> str:
    """Return what a message of this kind is; a kind of a newer release is unsupported."""
    known = _LABELS.get(kind, _LABELS[EventKind.UNSUPPORTED])
    return _OURS.get(kind, known) if outgoing else known
