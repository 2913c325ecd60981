"""The details pane of a conversation: its contact's identity and lookups, and the 24-hour window."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from app import clock, reply_state
from app.db.engine import db
from app.identities import cache, username_history
from app.identities.display import DisplayName
from app.identities.failure_policy import STOP_AFTER
from app.identities.observations import FRESH, is_fresh
from app.identities.reasons import describe
from app.labels import label
from app.models.conversation import Message
from app.viewer import Role, Viewer

OVERDUE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class ConversationDetails:
    """The details of a conversation and its contact. Times are aware UTC.

    The name is fresh until `fresh_until`, and cached until `cached_until`; `cache_unavailable`: Redis is unavailable.
    `overdue`: no worker has taken the lookup that was due at `next_try_at`. `no_reply_needed_by` is the user who
    decided that no reply is needed.
    """

    identity_id: int | None
    renamed_from: str | None
    shown_as: str
    resolved_at: datetime | None
    source: str | None
    fresh: bool
    fresh_until: datetime | None
    cached_until: datetime | None
    cache_unavailable: bool
    failure_count: int
    most_failures: int
    reason: str | None
    next_try_at: datetime | None
    overdue: bool
    account: str
    first_message_at: datetime
    messages: int
    window_ends_at: datetime | None
    window_open: bool
    needs_reply_since: datetime | None
    no_reply_needed_by: str | None
    operates: bool
    may_delete: bool


def get_details(viewer: Viewer, known: Any, shown: DisplayName, *, account: str) -> ConversationDetails:
    """Return the details of a conversation; `known` is its row with account and identity, `shown` the display name."""
    by_username = known.username is not None and (shown.username or shown.name) == known.username.strip()
    window_ends_at = reply_state.window_ends_at(known.last_incoming_at)
    cached = cache.seconds_left(known.ig_account_id, known.ig_participant_id)
    source = known.username_source if by_username else known.name_source
    return ConversationDetails(
        identity_id=known.identity_id,
        renamed_from=known.identity_id and username_history.previous_username(known.identity_id),
        shown_as="Username" if shown.username else "Name" if shown.known else "Short ID",
        resolved_at=known.username_at if by_username else known.name_at,
        source=label(source) if source else None,
        fresh=is_fresh(known.last_success_at, known.last_error),
        fresh_until=known.last_success_at and known.last_success_at + FRESH,
        cached_until=clock.now() + timedelta(seconds=cached) if cached else None,
        cache_unavailable=cached is None,
        failure_count=known.failure_count or 0,
        most_failures=STOP_AFTER,
        reason=describe(known.last_error) if known.last_error else None,
        next_try_at=known.next_try_at,
        overdue=known.next_try_at is not None and known.next_try_at < clock.now() - OVERDUE,
        account=account,
        first_message_at=known.first_message_at,
        messages=db.session.execute(select(func.count()).where(Message.conversation_id == known.id)).scalar_one(),
        window_ends_at=window_ends_at,
        window_open=window_ends_at is not None and window_ends_at > clock.now(),
        needs_reply_since=known.needs_reply_since,
        no_reply_needed_by=known.no_reply_needed_by if reply_state.needs_reply(known) is False else None,
        operates=viewer.may(Role.OPS),
        may_delete=viewer.may(Role.ADMIN),
    )
