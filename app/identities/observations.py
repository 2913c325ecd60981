"""Record observations of contacts and failed lookups.

The only writer of `identities`, together with confusables.py and claims.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, or_, select, update

from app import clock, counters, search_words, tombstones
from app.db.engine import db
from app.db.transaction import Tx
from app.identities import confusables
from app.identities.failure_policy import LookupFailure, next_try
from app.instagram import media_urls
from app.instagram.errors import GraphAPIError, Reason
from app.models.call import Purpose
from app.models.conversation import Conversation
from app.models.identity import Identity, Source, UsernameHistory

FRESH = timedelta(days=7)
FIELDS = ("username", "name", "picture_url")
MIN_RETRY_INTERVAL = timedelta(minutes=1)  # between lookups of a contact who keeps writing without profile consent
UNDATED = datetime(1, 1, 1, tzinfo=UTC)  # older than everything: the date of an earlier system's name is unknown
RETRY_ON_OPEN_AFTER = timedelta(days=1)  # after a failed lookup of a known contact whose thread is opened
LIVE = timedelta(minutes=10)  # the contact of an older message is not writing right now
SKEW = timedelta(minutes=10)  # a clock that is ahead by less is tolerated
BACKGROUND_DELAY = timedelta(hours=1)  # before the first lookup of a contact who is not writing right now

_WITHDRAWN: dict[str, Any] = {"last_error": Reason.TEMPORARY, "last_error_code": None}  # every failure has a code
WITHDRAWN = (Identity.last_error == Reason.TEMPORARY, Identity.last_error_code.is_(None))  # by withdraw_failures

# What `record_contact` needs of an identity; ingest reads it in the statement that stores the message.
STATE = (
    Identity.id.label("identity_id"),
    Identity.last_success_at,
    Identity.picture_expires_at,
    Identity.last_failure_at,
    Identity.failure_count,
    Identity.last_error,
    Identity.next_try_at,
    Identity.next_purpose,
)


@dataclass(frozen=True, slots=True)
class ProfileObservation:
    """A username, name or picture of a contact, with its source and time (aware UTC). None never replaces a value."""

    ig_participant_id: str
    username: str | None
    name: str | None
    picture_url: str | None
    source: Source
    at: datetime
    raw: dict[str, Any] | None = None

    @property
    def has_name(self) -> bool:
        """Whether a username or a name was seen."""
        return bool(self.username or self.name)


def record_contact(
    tx: Tx, account_id: int, ig_participant_id: str, state: Row[Any], *, wrote: bool, live: bool, at: datetime
) -> bool:
    """Record that a contact appeared in a message at `at` (aware UTC). Return True if a lookup is due now.

    `state` holds the columns STATE of the identity, all None for a new contact. `wrote`: the contact sent the message.
    `live`: the contact, or the account to a new contact, sent it just now.
    A contact who writes gets a new lookup after missing profile consent, after stopped retries, or with a stale name.
    """
    if state.identity_id is None:
        _insert(tx, account_id, ig_participant_id, live=live, at=at)
        return live
    due_at = _due_at(state, at) if wrote else None
    if due_at is None:
        return False
    purpose = Purpose.LIVE if live or state.next_purpose is Purpose.LIVE else Purpose.BACKFILL
    change = {"next_try_at": due_at, "next_purpose": purpose, "failure_count": 0}
    tx.execute(update(Identity).where(Identity.id == state.identity_id).values(change))
    return live and due_at <= at


def record(tx: Tx, account_id: int, seen: ProfileObservation) -> bool:
    """Merge an observation into identity and conversation. Return whether what pages show changed."""
    row = _row(tx, account_id, seen)
    if row is None:
        return False
    was_unknown = row.id is not None and not row.has_name
    changed = _merge(tx, row, seen)
    if was_unknown and row.has_name:
        counters.NAMING_SECONDS.observe((clock.now() - row.first_seen_at).total_seconds())
    if not _is_newer(row.last_success_at, seen.at):
        row.last_success_at = seen.at
    if seen.source is Source.PROFILE:
        row.picture_expires_at = _picture_expires_at(seen)
    if row.last_error is not None or row.next_try_at is not None:
        tx.mark_changed(account_id, seen.ig_participant_id)  # the thread shows the failure and the next retry
    row.failure_count, row.last_error, row.last_error_code = 0, None, None
    row.next_try_at, row.next_purpose, row.claimed_until = None, None, None
    row.raw_answer = seen.raw or row.raw_answer
    return changed


def merge_legacy(tx: Tx, account_id: int, seen: ProfileObservation) -> bool:
    """Merge a name of an earlier system, with its time or UNDATED. Return whether what pages show changed.

    It fills empty fields; with a date it also replaces older values. Failures and planned lookups stay. Merging the
    same observation twice changes nothing.
    """
    dated = seen.at > UNDATED
    seen = seen if dated else replace(seen, at=clock.now() - FRESH)  # stale: shown, and due for refresh
    row = _row(tx, account_id, seen)
    if row is None:
        return False
    if not dated:
        stays: dict[str, Any] = {field: None for field in FIELDS if getattr(row, field) is not None}
        seen = replace(seen, **stays)
    changed = _merge(tx, row, seen)
    row.last_success_at = max(row.last_success_at or seen.at, seen.at) if dated else row.last_success_at or seen.at
    return changed


def record_failure(
    tx: Tx, account_id: int, ig_participant_id: str, failure: LookupFailure, *, at: datetime, raw: dict[str, Any] | None
) -> None:
    """Record a failed lookup. Only `personal` failures count against the contact. `raw` is Meta's response, if any."""
    row = tx.session.scalars(select(Identity).where(Identity.is_contact(account_id, ig_participant_id))).one_or_none()
    if row is None:
        return
    row.failure_count = (row.failure_count or 0) + (1 if failure.personal else 0)
    row.last_failure_at = at
    row.last_error, row.last_error_code = failure.reason, failure.code
    row.next_try_at, row.next_purpose = next_try(failure, row.failure_count, at), Purpose.BACKFILL
    row.raw_answer = raw or row.raw_answer
    tx.mark_changed(account_id, ig_participant_id)


def withdraw_failures(tx: Tx, account_id: int, refusal: GraphAPIError) -> None:
    """Withdraw failures of which no contact was the cause: Meta refused the call whichever contact it was about."""
    failed = update(Identity).where(
        Identity.is_one_of(account_id, refusal.contacts), Identity.last_error_code == refusal.code
    )
    plan = {"failure_count": 0, "next_try_at": refusal.retry_at, "next_purpose": Purpose.BACKFILL}
    tx.execute(failed.values(**_WITHDRAWN, **plan))
    tx.mark_changed(account_id)


def stale(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """Select contacts whose name was looked up over 7 days ago or never, or whose picture URL has expired.

    A failed lookup has its own retry; a known contact is selected again a day after it.
    """
    named_long_ago = or_(Identity.last_success_at.is_(None), Identity.last_success_at < now - FRESH)
    return without_recent_failure(now, RETRY_ON_OPEN_AFTER), or_(named_long_ago, Identity.picture_expires_at < now)


def without_recent_failure(now: datetime, pause: timedelta) -> ColumnElement[bool]:
    """Select contacts whose last lookup did not fail, and known contacts whose last failure is older than `pause`."""
    long_ago = or_(Identity.last_failure_at.is_(None), Identity.last_failure_at < now - pause)
    return or_(Identity.last_error.is_(None), and_(Identity.last_success_at.is_not(None), long_ago))


def is_fresh(last_success_at: datetime | None, last_error: str | None) -> bool:
    """Return whether a name is fresh: looked up within 7 days, and the last lookup did not fail."""
    return last_error is None and last_success_at is not None and last_success_at > clock.now() - FRESH


def retry(tx: Tx, account_id: int, ig_participant_ids: Sequence[str] | Select[Any]) -> None:
    """Clear the failures of contacts before a requested lookup. `ig_participant_ids` may select them."""
    named = update(Identity).where(Identity.is_one_of(account_id, ig_participant_ids))
    tx.execute(named.values(failure_count=0, last_error=None, last_error_code=None))


def request_lookup(tx: Tx, account_id: int, ig_participant_id: str, *, at: datetime, first: bool = True) -> None:
    """Make a contact due now at a user's request, and clear their failures. Only a `first` lookup is urgent."""
    retry(tx, account_id, [ig_participant_id])
    one = update(Identity).where(Identity.is_contact(account_id, ig_participant_id))
    tx.execute(one.values(next_try_at=at, next_purpose=Purpose.ASKED if first else Purpose.REFRESH))


def refresh_on_open(tx: Tx, identity_id: int, *, at: datetime) -> int | None:
    """Make a stale contact due now because a user opened the conversation.

    Return the internal ID of the account, None if nothing was changed.
    """
    later = or_(Identity.next_try_at.is_(None), Identity.next_try_at > at)
    row = update(Identity).where(Identity.id == identity_id, later, *stale(at))
    due = row.values(next_try_at=at, next_purpose=Purpose.ASKED).returning(Identity.account_id)
    return tx.execute(due).scalar()


def has_unindexed_names() -> bool:
    """Return whether an older release stored names without search terms."""
    found = select(Identity.id).where(Identity.terms.is_(None), Identity.has_name).limit(1)
    return db.session.execute(found).first() is not None


def index_names(tx: Tx, limit: int) -> int:
    """Store the search terms of at most `limit` contacts whose names an older release stored; return how many."""
    unindexed = select(Identity.id, Identity.username, Identity.name).where(Identity.terms.is_(None), Identity.has_name)
    rows = tx.execute(unindexed.order_by(Identity.id.desc()).limit(limit).with_for_update(skip_locked=True)).all()
    for row in rows:
        terms = search_words.stored_name(row.username, row.name)
        tx.execute(update(Identity).where(Identity.id == row.id).values(terms=terms))
    return len(rows)


def correct_times(tx: Tx, *, now: datetime) -> None:
    """Make contacts due whose next lookup was planned by a clock that was ahead.

    Their last failure is in the future, or the lookup is later than any that is planned without a failure.
    """
    wrong = or_(
        Identity.last_failure_at > now + SKEW,
        and_(Identity.last_error.is_(None), Identity.next_try_at > now + BACKGROUND_DELAY + SKEW),
    )
    late = update(Identity).where(Identity.next_try_at > now + SKEW, wrong).values(next_try_at=now)
    for account_id in set(tx.execute(late.returning(Identity.account_id)).scalars()):
        tx.mark_changed(account_id)


def _insert(tx: Tx, account_id: int, ig_participant_id: str, *, live: bool, at: datetime) -> None:
    insert = tx.insert(Identity).values(
        account_id=account_id,
        ig_participant_id=ig_participant_id,
        first_seen_at=at,
        next_try_at=at if live else at + BACKGROUND_DELAY,
        next_purpose=Purpose.LIVE if live else Purpose.BACKFILL,
    )
    tx.execute(insert.on_conflict_do_nothing(index_elements=["account_id", "ig_participant_id"]))


def _due_at(state: Row[Any], at: datetime) -> datetime | None:
    """Return when to look up a contact who wrote, None to keep the present plan."""
    waiting = state.next_try_at is not None and state.next_purpose is Purpose.LIVE
    if waiting:
        return None
    if state.last_error is None:
        return at if _is_stale(state, at) else None
    if state.last_error == Reason.CONSENT or state.next_try_at is None:
        return max(at, (state.last_failure_at or UNDATED) + MIN_RETRY_INTERVAL)
    return None


def _is_stale(state: Row[Any], at: datetime) -> bool:
    named_at, picture_ends_at = state.last_success_at, state.picture_expires_at
    return named_at is None or named_at < at - FRESH or (picture_ends_at is not None and picture_ends_at < at)


def _picture_expires_at(seen: ProfileObservation) -> datetime | None:
    """Return when the picture URL of a profile expires, None if it had expired already: Meta would return it again."""
    ends_at = media_urls.expires_at(seen.picture_url) if seen.picture_url else None
    return ends_at if ends_at is not None and ends_at > seen.at else None


def _row(tx: Tx, account_id: int, seen: ProfileObservation) -> Identity | None:
    row = tx.session.scalars(
        select(Identity).where(Identity.is_contact(account_id, seen.ig_participant_id))
    ).one_or_none()
    # A lookup or a conversation sync that ends after a deletion must not bring the contact back.
    if row is None and not tombstones.exists(tx, account_id, seen.ig_participant_id):
        row = Identity(account_id=account_id, ig_participant_id=seen.ig_participant_id, first_seen_at=seen.at)
        tx.session.add(row)
    return row


def _merge(tx: Tx, row: Identity, seen: ProfileObservation) -> bool:
    changed, before = False, row.username
    for field in FIELDS:
        value, prefix = getattr(seen, field), field.removesuffix("_url")
        known_at = getattr(row, f"{prefix}_at")
        if value is None or _is_newer(known_at, seen.at):
            continue
        changed = changed or getattr(row, field) != value
        setattr(row, field, value)
        setattr(row, f"{prefix}_at", seen.at)
        setattr(row, f"{prefix}_source", seen.source)
    if before and row.username != before:
        _record_rename(tx, row, before, seen)
    if changed or row.skeleton is None:
        confusables.update_confusables(tx, row)
    if changed or row.terms is None:
        row.terms = search_words.stored_name(row.username, row.name)
    if changed:
        _mark_conversation_known(tx, row.account_id, row.ig_participant_id)
        tx.mark_changed(row.account_id, row.ig_participant_id)
    return changed


def _is_newer(known_at: datetime | None, seen_at: datetime) -> bool:
    """Return whether the stored value is newer than an observation. A stored time in the future counts as older."""
    return known_at is not None and seen_at < known_at <= clock.now()


def _record_rename(tx: Tx, row: Identity, before: str, seen: ProfileObservation) -> None:
    change = {"old_username": before, "new_username": row.username, "source": seen.source, "at": seen.at}
    tx.execute(tx.insert(UsernameHistory).values(identity_id=row.id, **change))


def _mark_conversation_known(tx: Tx, account_id: int, ig_participant_id: str) -> None:
    conversation = update(Conversation).where(
        Conversation.is_contact(account_id, ig_participant_id), Conversation.known.is_(False)
    )
    named = select(Identity.id).where(Identity.is_contact(account_id, ig_participant_id), Identity.has_name)
    tx.execute(conversation.where(named.exists()).values(known=True))
