"""Responses of Graph API calls as frozen dataclasses; None is what Meta left out."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.instagram.events import Attachment
from app.instagram.usage_headers import Usage


@dataclass(frozen=True, slots=True)
class Profile:
    """A participant's profile. `raw` holds the storable fields of the response, without tokens."""

    ig_id: str
    username: str | None
    name: str | None
    picture_url: str | None
    raw: dict[str, Any]
    usage: Usage


@dataclass(frozen=True, slots=True)
class ReadMessage:
    """One message of the Conversations API: no quick reply, no ad, and shares often without content.

    `context` has the shape of a webhook's: `reply_to` with the `mid` or the `story` that the message answers.
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
    """One conversation: `participants` are (ID, username or None) in no order, including the account.

    `messages` are the newest ones, newest first, if requested; those without details are left out.
    """

    ig_conversation_id: str
    participants: tuple[tuple[str, str | None], ...]
    messages: tuple[ReadMessage, ...] = ()


@dataclass(frozen=True, slots=True)
class Skipped:
    """One element of a page that could not be read. `kind` is "conversation", "participant" or "message".

    `id` is its own ID, None if Meta sent none; `conversation` is the ID of its conversation.
    """

    kind: str
    id: str | None
    conversation: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class ConversationListPage:
    """A page of conversations, newest first. `after` is None on the last page; an empty page is not always the last."""

    threads: tuple[ReadConversation, ...]
    after: str | None
    usage: Usage
    skipped: tuple[Skipped, ...] = ()

    @property
    def listed(self) -> int:
        """The number of conversations on the page, read and skipped."""
        return len(self.threads) + sum(each.kind == "conversation" for each in self.skipped)


@dataclass(frozen=True, slots=True)
class MessageIds:
    """The newest messages of a conversation, each with its ID and time (aware UTC), newest first."""

    messages: tuple[tuple[str, datetime], ...]
    usage: Usage


@dataclass(frozen=True, slots=True)
class TokenOwner:
    """The account that a token belongs to; `ig_account_id` is its professional account ID, not the app-scoped ID.

    `owner_id` is the app-scoped ID of the user who authorized a token of Facebook's host, None if unknown.
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
    """A Page that a token can use; `account` is None without a linked Instagram account, `token` if left out."""

    ig_page_id: str
    account: TokenOwner | None
    token: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """The response of `/debug_token`: `expires_at` is aware UTC, None for a token that does not expire.

    `page_ids` and `ig_account_ids` are the assets that permissions are limited to; empty if they cover all.
    `user_id` is the app-scoped ID of the user or system user who authorized the token, None if left out.
    """

    permissions: frozenset[str]
    page_ids: tuple[str, ...]
    ig_account_ids: tuple[str, ...]
    expires_at: datetime | None
    user_id: str | None
