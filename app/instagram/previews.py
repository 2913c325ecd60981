"""Say what a message is in one line: the rule that the list, the identity page and the API share."""

from app.instagram.events import Kind
from app.text import is_blank

EMPTY = "Empty message"
_LABELS: dict[str, str] = {
    Kind.TEXT: EMPTY,
    Kind.IMAGE: "Photo",
    Kind.VIDEO: "Video",
    Kind.AUDIO: "Voice message",
    Kind.FILE: "File",
    Kind.STICKER: "Sticker",
    Kind.LINK: "Shared a link",
    Kind.LOCATION: "Shared a location",
    Kind.SHARE: "Shared a post",
    Kind.REEL: "Shared a reel",
    Kind.STORY: "Shared a story",
    Kind.STORY_MENTION: "Mentioned you in their story",
    Kind.STORY_REPLY: "Replied to your story",
    Kind.TEMPLATE: "Shared a card",
    Kind.EPHEMERAL: "Disappearing photo or video",
    Kind.POSTBACK: "Tapped a button",
    Kind.REFERRAL: "Came through a link",
    Kind.OPTIN: "Asked to be notified",
    Kind.HANDOVER: "Handed over",
    Kind.UNSENT: "Message deleted",
    Kind.UNSUPPORTED: "Unsupported message",
}
_OURS: dict[str, str] = {Kind.STORY_MENTION: "Mentioned them in your story", Kind.STORY_REPLY: "Replied to their story"}


def preview(kind: str, text: str | None, *, outgoing: bool) -> str:
    """Return a message's text, or what it is when it has no visible text."""
    return text if text and not is_blank(text) else label(kind, outgoing=outgoing)


def label(kind: str, *, outgoing: bool) -> str:
    """Return what a message of this kind is; a kind of a newer release is unsupported."""
    known = _LABELS.get(kind, _LABELS[Kind.UNSUPPORTED])
    return _OURS.get(kind, known) if outgoing else known
