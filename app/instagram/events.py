"""What a delivery tells, one frozen dataclass an event kind; nothing here knows tables."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What a message is, for its preview and its look; unknown attachment types become UNSUPPORTED."""

    TEXT = "text"
    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    FILE = "file"
    SHARE = "share"
    REEL = "reel"
    STORY = "story"
    STORY_MENTION = "story_mention"
    STORY_REPLY = "story_reply"
    TEMPLATE = "template"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True)
class Attachment:
    """One attachment: what it is, where its media lies at Meta (URLs expire), and its title if it has one."""

    kind: Kind
    url: str | None = None
    title: str | None = None


@dataclass(frozen=True, slots=True)
class MessageSent:
    """Somebody wrote: a participant to the account, or the account to a participant (an echo).

    `sent_at` is the event's own time, aware UTC. `context` holds reply_to, quick_reply and referral as Meta sent them.
    """

    ig_account_id: str
    ig_sender_id: str
    ig_recipient_id: str
    sent_at: datetime
    mid: str
    kind: Kind
    text: str | None
    attachments: tuple[Attachment, ...]
    context: dict[str, Any]


Event = MessageSent
