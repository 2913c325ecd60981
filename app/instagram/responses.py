"""What Graph calls bring back, as frozen dataclasses; None is what Instagram left out."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.instagram.events import Attachment
from app.instagram.usage_headers import Usage


@dataclass(frozen=True, slots=True)
class Profile:
    """A participant's profile; None is what Instagram left out. `raw` is the answer without anything secret."""

    ig_id: str
    username: str | None
    name: str | None
    picture_url: str | None
    raw: dict[str, Any]
    usage: Usage


@dataclass(frozen=True, slots=True)
class ReadMessage:
    """One message as the Conversations API returns it: no quick reply, no ad, and shares often without content.

    `context` has the shape of a webhook's: `reply_to` with the `mid` or the `story` that the message refers to.
    """

    mid: str
    sent_at: datetime
    ig_sender_id: str
    ig_recipient_id: str
    text: str | None
    attachments: tuple[Attachment, ...]
    context: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ReadConversation:
    """One conversation: `participants` are (id, username or None) in no order, the account itself among them.

    `messages` are the newest ones, newest first, if they were asked for; those without details are left out.
    """

    ig_conversation_id: str
    participants: tuple[tuple[str, str | None], ...]
    messages: tuple[ReadMessage, ...] = ()


@dataclass(frozen=True, slots=True)
class Skipped:
    """One element of a page that could not be read. `kind` is "conversation", "participant" or "message".

    `id` is its own ID, None where Meta sent none; `conversation` is the ID of the conversation that it is part of.
    """

    kind: str
    id: str | None
    conversation: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class ConversationListPage:
    """A page of conversations, newest first; `after` None means the last page, an empty page does not."""

    threads: tuple[ReadConversation, ...]
    after: str | None
    usage: Usage
    skipped: tuple[Skipped, ...] = ()

    @property
    def listed(self) -> int:
        """How many conversations of the list the page covers, read and skipped."""
        return len(self.threads) + sum(each.kind == "conversation" for each in self.skipped)


@dataclass(frozen=True, slots=True)
class TokenOwner:
    """The account that a token belongs to; `ig_account_id` is what webhooks carry, never the app-scoped id.

    `owner_id` is the app-scoped ID of the user who authorized a token of Facebook's host, None where it is not known.
    """

    ig_account_id: str
    ig_app_scoped_id: str | None
    username: str | None
    account_type: str | None
    ig_page_id: str | None
    usage: Usage
    owner_id: str | None = None


@dataclass(frozen=True, slots=True)
class GrantedPage:
    """A Page that a token reaches; `account` is None for a Page without an Instagram account, `token` if left out."""

    ig_page_id: str
    account: TokenOwner | None
    token: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """What `/debug_token` says of a token: `expires_at` is aware UTC, None for a token that does not expire.

    `page_ids` and `ig_account_ids` are the assets that a permission was limited to; empty where it covers them all.
    `user_id` is the app-scoped ID of the user or system user who authorized the token, None if left out.
    """

    permissions: frozenset[str]
    page_ids: tuple[str, ...]
    ig_account_ids: tuple[str, ...]
    expires_at: datetime | None
    user_id: str | None
