"""One-line previews of messages, shared by the inbox list, the identity page and the API."""

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
    EventKind.REFERRAL: "Started from a link",
    EventKind.OPTIN: "Opted in to notifications",
    EventKind.HANDOVER: "Handed over to another app",
    EventKind.UNSENT: "Message unsent",
    EventKind.UNSUPPORTED: "Unsupported message",
}
_OUTGOING_LABELS: dict[str, str] = {
    EventKind.STORY_MENTION: "Mentioned them in your story",
    EventKind.STORY_REPLY: "Replied to their story",
}


def preview(kind: str, text: str | None, *, outgoing: bool) -> str:
    """Return a message's text, or the label of its kind if the text is blank."""
    return text if text and not is_blank(text) else label(kind, outgoing=outgoing)


def label(kind: str, *, outgoing: bool) -> str:
    """Return the label of a kind of message; a kind that only a newer release knows is unsupported."""
    known = _LABELS.get(kind, _LABELS[EventKind.UNSUPPORTED])
    return _OUTGOING_LABELS.get(kind, known) if outgoing else known
