"""What a delivery tells, one frozen dataclass an event kind; nothing here knows tables.

Every event has `ig_account_id`, its own time `sent_at` (aware UTC, never its arrival) and the `mid` it is about.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class EventKind(StrEnum):
    """What a message or an attachment is; attachment types that are not known here become UNSUPPORTED."""

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


@dataclass(frozen=True, slots=True)
class Attachment:
    """One attachment, or one card of a template. URLs are http(s) and, at Meta, expire.

    `url` is the media file, or the page that a link or card opens; `image_url` is a card's picture. `media_id` is
    Meta's ID of a post, reel, story, sticker or product; `buttons` are a card's button labels. `type` is Meta's name
    of a type that is not known here, else None.
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
    """Somebody wrote: a participant to the account, or the account to a participant (an echo).

    Taps on buttons, referrals, opt-ins and handovers are messages of kinds of their own; those that Meta gives no mid
    carry one made of their content. `context` holds what the message refers to, as Meta sent it. `gaps` says in words
    which parts of it are not understood.
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


@dataclass(frozen=True, slots=True)
class MessageUnsent:
    """Its sender took a message back: nothing of it may stay."""

    ig_account_id: str
    sent_at: datetime
    mid: str


@dataclass(frozen=True, slots=True)
class MessageEdited:
    """A message has a new wording; `number` counts the edits from 1. Not every edit names its sender."""

    ig_account_id: str
    sent_at: datetime
    mid: str
    text: str
    number: int
    ig_sender_id: str | None = None


@dataclass(frozen=True, slots=True)
class MessageAnnounced:
    """There is a message with this mid: an edit with number 0, which rarely carries the message's text."""

    ig_account_id: str
    sent_at: datetime
    mid: str
    text: str | None = None


@dataclass(frozen=True, slots=True)
class ReactionChanged:
    """Somebody reacted to a message, or took the reaction back (`emoji` is None)."""

    ig_account_id: str
    sent_at: datetime
    mid: str
    ig_sender_id: str
    emoji: str | None


@dataclass(frozen=True, slots=True)
class MessageSeen:
    """The participant saw this message and with it those before."""

    ig_account_id: str
    sent_at: datetime
    mid: str
    ig_sender_id: str


@dataclass(frozen=True, slots=True)
class SelfMessage:
    """The account wrote to itself: it shows a further ID of the account, `ig_own_id`."""

    ig_account_id: str
    sent_at: datetime
    mid: str
    ig_sender_id: str
    ig_recipient_id: str

    @property
    def ig_own_id(self) -> str:
        """The ID under which the account writes to itself, beside the professional account ID."""
        return self.ig_sender_id if self.ig_recipient_id == self.ig_account_id else self.ig_recipient_id


@dataclass(frozen=True, slots=True)
class IgnoredEvent:
    """Something that is no direct message, such as a comment: counted by `what`, and that is all."""

    ig_account_id: str
    sent_at: datetime
    mid: str
    what: str


MessageUpdate = MessageUnsent | MessageEdited | MessageAnnounced | ReactionChanged | MessageSeen
Event = MessageSent | MessageUpdate | SelfMessage | IgnoredEvent
