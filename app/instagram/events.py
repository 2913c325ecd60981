"""Webhook events, one frozen dataclass per kind; independent of the database.

Every event has `ig_account_id`, its own time `sent_at` (aware UTC, not its arrival) and the `mid` of its message.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class EventKind(StrEnum):
    """The kind of a message or attachment; unknown attachment types become UNSUPPORTED."""

    TEXT = "text"
    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    FILE = "file"
    STICKER = "sticker"
    LINK = "link"
    LOCATION = "location"
    SHARE = "share"
    REEL = "reel"
    STORY = "story"
    STORY_MENTION = "story_mention"
    STORY_REPLY = "story_reply"
    TEMPLATE = "template"
    EPHEMERAL = "ephemeral"
    POSTBACK = "postback"
    REFERRAL = "referral"
    OPTIN = "optin"
    HANDOVER = "handover"
    UNSENT = "unsent"
    UNSUPPORTED = "unsupported"


NOT_WRITTEN = frozenset({EventKind.REFERRAL, EventKind.OPTIN, EventKind.HANDOVER})  # shown as messages; say nothing
# Meta's own inboxes: docs/meta-platform.md#events
META_INBOX_APPS = frozenset({"263902037430900", "1217981644879628"})


@dataclass(frozen=True, slots=True)
class Attachment:
    """One attachment, or one card of a template. URLs are http(s); those of Meta expire.

    `url` is the media file, or the page that a link or card opens; `image_url` is a card's picture. `media_id` is
    Meta's ID of a post, reel, story, sticker or product; `buttons` are a card's button labels. `type` is Meta's name
    of an unknown type, else None.
    """

    kind: EventKind
    url: str | None = None
    title: str | None = None
    subtitle: str | None = None
    image_url: str | None = None
    media_id: str | None = None
    buttons: tuple[str, ...] = ()
    type: str | None = None


@dataclass(frozen=True, slots=True)
class MessageSent:
    """A participant wrote to the account, or the account to a participant (an echo).

    Taps on buttons, referrals, opt-ins and handovers are messages of their own kinds; without a mid from Meta they get
    one derived from their content. `context` holds what the message refers to, as Meta sent it. `gaps` describes the
    parts that Nametag does not know. `app_id` is the app that sent an echo, None if Meta names none. `standby`: another
    app controls the conversation.
    """

    ig_account_id: str
    ig_sender_id: str
    ig_recipient_id: str
    sent_at: datetime
    mid: str
    kind: EventKind
    text: str | None
    attachments: tuple[Attachment, ...]
    context: dict[str, Any]
    gaps: tuple[str, ...] = ()
    app_id: str | None = None
    standby: bool = False


@dataclass(frozen=True, slots=True)
class MessageUnsent:
    """The sender unsent a message: its content must be deleted."""

    ig_account_id: str
    sent_at: datetime
    mid: str


@dataclass(frozen=True, slots=True)
class MessageEdited:
    """A message has a new text; `number` counts the edits from 1. Not every edit has a sender."""

    ig_account_id: str
    sent_at: datetime
    mid: str
    text: str
    number: int
    ig_sender_id: str | None = None


@dataclass(frozen=True, slots=True)
class MessageAnnounced:
    """A message with this mid exists: an edit with number 0, rarely with the text of the message."""

    ig_account_id: str
    sent_at: datetime
    mid: str
    text: str | None = None


@dataclass(frozen=True, slots=True)
class ReactionChanged:
    """The sender reacted to a message, or removed the reaction (`emoji` is None)."""

    ig_account_id: str
    sent_at: datetime
    mid: str
    ig_sender_id: str
    emoji: str | None


@dataclass(frozen=True, slots=True)
class MessageSeen:
    """The participant saw this message and all earlier ones."""

    ig_account_id: str
    sent_at: datetime
    mid: str
    ig_sender_id: str


@dataclass(frozen=True, slots=True)
class SelfMessage:
    """The account wrote to itself, which reveals another ID of the account, `ig_own_id`."""

    ig_account_id: str
    sent_at: datetime
    mid: str
    ig_sender_id: str
    ig_recipient_id: str

    @property
    def ig_own_id(self) -> str:
        """The ID of the account in this event that is not its professional account ID."""
        return self.ig_sender_id if self.ig_recipient_id == self.ig_account_id else self.ig_recipient_id


@dataclass(frozen=True, slots=True)
class IgnoredEvent:
    """An event that is not about direct messages, such as a comment; it is only counted. `what` is its field."""

    ig_account_id: str
    sent_at: datetime
    mid: str
    what: str


MessageUpdate = MessageUnsent | MessageEdited | MessageAnnounced | ReactionChanged | MessageSeen
Event = MessageSent | MessageUpdate | SelfMessage | IgnoredEvent
