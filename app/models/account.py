"""Tables of connected accounts."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, LargeBinary, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.engine import Model
from app.db.types import EnumText, Id, IgId, Secret, SecretText, UTCDateTime


class Login(StrEnum):
    """How an account was connected; decides which host accepts its token: docs/meta-platform.md#login-types."""

    INSTAGRAM = "instagram"
    FACEBOOK = "facebook"
    UNIFIED = "unified"


class AccountState(StrEnum):
    """Whether the account's token may be used."""

    CONNECTED = "connected"
    RECONNECT = "reconnect"
    DELETING = "deleting"


class Account(Model):
    """A connected professional account. `ig_account_id` is `entry.id` of webhooks, which identifies it everywhere.

    `token_at` is when its token was stored; `token_tried_at` and `token_problem` describe the last try to refresh it.
    `owner_id` is the app-scoped ID of the user who authorized the token (Facebook and Unified Login).
    `refused_subscriptions` are the webhook fields that Meta refuses, each with Meta's words; `subscription_problem` is
    set, to Meta's words, while no messages are delivered.
    `last_sync_result` is that of the last conversation sync: counts, IDs of skipped elements, and why it ended early.
    The newest complete one, which fetched all that had been missed, began at `covered_until`.
    `alerts_muted_at`: since then, no alerts of the account are sent, as the user `alerts_muted_by` decided.
    """

    __tablename__ = "accounts"

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    ig_account_id: Mapped[str] = mapped_column(IgId, unique=True)
    username: Mapped[str | None] = mapped_column(String(64))
    login: Mapped[Login] = mapped_column(EnumText(Login))
    location_id: Mapped[str | None] = mapped_column(String(64))
    ig_page_id: Mapped[str | None] = mapped_column(IgId)
    ig_app_scoped_id: Mapped[str | None] = mapped_column(IgId)
    own_ids: Mapped[list[str]] = mapped_column(JSON, default=list)
    owner_id: Mapped[str | None] = mapped_column(IgId)
    token: Mapped[Secret | None] = mapped_column(SecretText)
    token_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    token_expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    token_tried_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    token_problem: Mapped[str | None] = mapped_column(Text)
    permissions: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    state: Mapped[AccountState] = mapped_column(EnumText(AccountState), default=AccountState.CONNECTED)
    state_reason: Mapped[str | None] = mapped_column(Text)
    connected_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_webhook_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    subscription_checked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    missing_subscriptions: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    refused_subscriptions: Mapped[dict[str, str] | None] = mapped_column(JSON(none_as_null=True))
    subscription_problem: Mapped[str | None] = mapped_column(Text)
    ignored_events: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    last_synced_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_sync_result: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    covered_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    alerts_muted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    alerts_muted_by: Mapped[str | None] = mapped_column(String(120))


class AccountPicture(Model):
    """An account's own picture, 96 × 96 WebP. `content` is None if none was ever fetched; last tried at `tried_at`."""

    __tablename__ = "account_pictures"

    account_id: Mapped[int] = mapped_column(
        ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True, autoincrement=False
    )
    content: Mapped[bytes | None] = mapped_column(LargeBinary)
    version: Mapped[str | None] = mapped_column(String(16))
    tried_at: Mapped[datetime] = mapped_column(UTCDateTime)


ALL_IDS = (Account.ig_account_id, Account.ig_app_scoped_id, Account.ig_page_id, Account.own_ids)


def all_ids(account: Any) -> frozenset[str]:
    """Return every ID under which Meta names an account itself; `account` is a row with the columns ALL_IDS."""
    known = (account.ig_account_id, account.ig_app_scoped_id, account.ig_page_id)
    return frozenset((*filter(None, known), *account.own_ids))
