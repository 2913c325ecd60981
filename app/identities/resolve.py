"""Look contacts up, cheapest source first: Redis, the row, then one profile call.

`look_up` yields outcomes and writes nothing. `look_up_due` looks up the contacts of an account that are due, and stores
the outcomes.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from app import clock, counters, queue
from app.calls import gateway
from app.db import transaction
from app.db.engine import db
from app.errors import RetryLater
from app.identities import cache, claims, failure_policy, observations
from app.identities.claims import CLAIM
from app.identities.failure_policy import NO_PROFILE, PLACEHOLDER, LookupFailure
from app.identities.observations import BACKGROUND_DELAY, FRESH, ProfileObservation
from app.instagram.errors import GraphAPIError, Scope
from app.models.account import Account
from app.models.call import Purpose
from app.models.identity import Identity, Source
from app.text import clean_name, real_name

logger = logging.getLogger(__name__)

BATCH = 10
TURN_SECONDS = 20  # of one task, shorter than a claim; the next task looks up the remaining contacts
PAUSE = timedelta(seconds=5)  # after a failure of the account or app without a time; then the circuit breaker decides


_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class LookupOutcome:
    """The result of one lookup: an observation, a failure, or neither when the row is fresh."""

    ig_participant_id: str
    observation: ProfileObservation | None = None
    failure: LookupFailure | None = None
    calls: int = 0
    raw: dict[str, Any] | None = None

    @property
    def fresh(self) -> bool:
        """Whether no lookup was needed because the row was fresh."""
        return self.observation is None and self.failure is None

    @property
    def label(self) -> str:
        """The outcome in metrics: "resolved", "fresh" or the reason of the failure."""
        return str(self.failure.reason) if self.failure else "fresh" if self.fresh else "resolved"


@dataclass(frozen=True, slots=True)
class Batch:
    """Contacts of an account that the caller has claimed until `claim`; `left` have no outcome yet."""

    account_id: int
    left: dict[str, None]
    claim: datetime
    purpose: Purpose
    fresh_since: datetime
    run_id: str | None = None


def look_up(
    account_id: int,
    ig_participant_ids: Sequence[str],
    *,
    purpose: Purpose,
    fresh_since: datetime,
    run_id: str | None = None,
) -> Iterator[LookupOutcome]:
    """Yield one LookupOutcome per contact: from Redis, the row, or one profile call each.

    A name that was looked up at or after `fresh_since` (aware UTC) costs no call. Raises RetryLater when the budget,
    the account or the app allows no further call; outcomes yielded before remain valid.
    """
    looked_up_at = _looked_up_at(account_id, ig_participant_ids)
    cached = cache.read(_ig_account_id(account_id), [each for each in ig_participant_ids if each not in looked_up_at])
    for each in ig_participant_ids:
        if (looked_up_at.get(each) or _NEVER) >= fresh_since:
            yield LookupOutcome(each)
        elif each in cached and cached[each].at >= fresh_since:
            yield LookupOutcome(each, observation=cached[each])
        else:
            yield _call_profile(account_id, each, purpose=purpose, run_id=run_id)


def resolve_batch(
    batch: Batch, on_stored: Callable[[transaction.Tx, LookupOutcome, float], None] | None = None
) -> Iterator[LookupOutcome]:
    """Look up a claimed batch, and yield each outcome once it is committed and cached.

    `on_stored` joins the transaction of an outcome; its last argument is how many seconds the lookup took. A caller who
    stops early calls `release_rest`. Raises RetryLater as `look_up` does.
    """
    outcomes = look_up(
        batch.account_id,
        list(batch.left),
        purpose=batch.purpose,
        fresh_since=batch.fresh_since,
        run_id=batch.run_id,
    )
    began = clock.monotonic()
    for outcome in outcomes:
        seconds = clock.monotonic() - began
        with transaction.write() as tx:
            store_outcome(tx, batch.account_id, outcome, claim=batch.claim)
            if on_stored:
                on_stored(tx, outcome, seconds)
        counters.LOOKUP_SECONDS.observe(seconds, outcome.label)
        began = clock.monotonic()
        cache_outcome(batch.account_id, outcome)
        del batch.left[outcome.ig_participant_id]
        yield outcome


def release_rest(batch: Batch, *, next_try_at: datetime | None = None) -> None:
    """Release the claims of the contacts of a batch who have no outcome; they are due again at `next_try_at`."""
    if batch.left:
        with transaction.write() as tx:
            claims.release(tx, batch.account_id, list(batch.left), claim=batch.claim, next_try_at=next_try_at)


def store_outcome(tx: transaction.Tx, account_id: int, outcome: LookupOutcome, *, claim: datetime) -> None:
    """Store an outcome in the contact's row, inside the caller's transaction.

    A name is stored even without a valid claim; a failure only while the caller still holds `claim`.
    """
    if outcome.observation is not None:
        observations.record(tx, account_id, outcome.observation)
    elif outcome.failure is not None:
        if claims.release(tx, account_id, [outcome.ig_participant_id], claim=claim):
            failed = (account_id, outcome.ig_participant_id, outcome.failure)
            observations.record_failure(tx, *failed, at=clock.now(), raw=outcome.raw)
    else:
        claims.release_fresh(tx, account_id, outcome.ig_participant_id, claim=claim)


def cache_outcome(account_id: int, outcome: LookupOutcome) -> None:
    """Cache a committed outcome, best effort; not that of a contact who was deleted meanwhile."""
    if outcome.observation is None or outcome.observation.source is Source.REDIS:
        return
    found = select(Account.ig_account_id).join(Identity, Identity.is_contact(Account.id, outcome.ig_participant_id))
    found = found.where(Account.id == account_id)
    ig_account_id = db.session.execute(found).scalar()
    if ig_account_id is None:
        return
    cache.write(ig_account_id, outcome.observation)
    db.session.rollback()  # a deletion clears the cache after its commit, perhaps before the write above
    if db.session.execute(found).first() is None:
        cache.delete(ig_account_id, outcome.ig_participant_id)


def look_up_due(account_id: int) -> None:
    """Look up due contacts of one account for TURN_SECONDS, those who are writing now first.

    Enqueues another task if contacts remain.
    """
    ends_at = clock.monotonic() + TURN_SECONDS
    while (batch := _claim_due(account_id)) and _look_up_claimed(batch, ends_at=ends_at):
        if clock.monotonic() >= ends_at:
            queue.enqueue_once(queue.RESOLVE, account_id)
            return


def correct_times() -> None:
    """Make contacts due whose next lookup was planned too late by a wrong clock."""
    now = clock.now()
    late = select(Identity.id).where(Identity.next_try_at > now + observations.SKEW).limit(1)
    if db.session.execute(late).first():
        with transaction.write() as tx:
            observations.correct_times(tx, now=now)


def accounts_due(now: datetime, *, live: bool) -> list[int]:
    """Return the internal IDs of accounts with due contacts that no worker is looking up.

    `live` selects contacts who are writing now or that a user requested, else background lookups.
    """
    purposes = (Purpose.LIVE, Purpose.ASKED) if live else (Purpose.BACKFILL, Purpose.REFRESH)
    due = (Identity.next_try_at <= now, claims.is_unclaimed(now), Identity.next_purpose.in_(purposes))
    return list(db.session.scalars(select(Identity.account_id).where(*due).distinct()))


def _call_profile(account_id: int, ig_participant_id: str, *, purpose: Purpose, run_id: str | None) -> LookupOutcome:
    try:
        profile = gateway.profile(account_id, ig_participant_id, purpose=purpose, run_id=run_id)
    except GraphAPIError as failure:
        if failure.scope in (Scope.APP, Scope.ACCOUNT):
            if failure.contacts:
                with transaction.write() as tx:
                    observations.withdraw_failures(tx, account_id, failure)
            raise RetryLater(failure.sentence, failure.retry_at or clock.now() + PAUSE) from None
        return LookupOutcome(ig_participant_id, failure=failure_policy.classify(failure), calls=1, raw=failure.raw)
    seen = ProfileObservation(
        ig_participant_id,
        username=real_name(profile.username),
        name=real_name(profile.name),
        picture_url=profile.picture_url,
        source=Source.PROFILE,
        at=clock.now(),
        raw=profile.raw,
    )
    if not seen.has_name:
        missing = PLACEHOLDER if clean_name(profile.username) or clean_name(profile.name) else NO_PROFILE
        return LookupOutcome(ig_participant_id, failure=missing, calls=1, raw=profile.raw)
    return LookupOutcome(ig_participant_id, observation=seen, calls=1)


def _look_up_claimed(batch: Batch, *, ends_at: float) -> bool:
    """Look up claimed contacts until the task's time is over. Return whether more may be due."""
    resume_at = None
    try:
        for _ in resolve_batch(batch):
            if queue.stopping() or clock.monotonic() >= ends_at:
                break
    except RetryLater as pause:
        logger.info("lookups paused", extra={"account": batch.account_id, "reason": pause.reason, "until": pause.until})
        resume_at = pause.until
    latest = clock.now() + BACKGROUND_DELAY  # checking hourly costs no call
    release_rest(batch, next_try_at=min(resume_at, latest) if resume_at else None)
    return resume_at is None and not queue.stopping()


def _claim_due(account_id: int) -> Batch | None:
    now = clock.now()
    urgent = Identity.next_purpose.in_((Purpose.LIVE, Purpose.ASKED))
    # Random last: while Meta refuses calls, the contact of each probe must not always be the same.
    order = (urgent.desc(), Identity.next_try_at.desc(), func.random())
    found = select(Identity.ig_participant_id, Identity.next_purpose).where(
        Identity.account_id == account_id, Identity.next_try_at <= now, claims.is_unclaimed(now)
    )
    with transaction.write() as tx:
        rows = tx.execute(found.order_by(*order).limit(BATCH)).all()
        if not rows:
            return None
        purpose, until = rows[0].next_purpose, now + CLAIM
        wanted = [row.ig_participant_id for row in rows if row.next_purpose is purpose]
        taken = claims.take(tx, account_id, wanted, now=now, until=until)
    # A user who asks for a contact gets a lookup even when the name is fresh.
    fresh_since = clock.now() - (timedelta() if purpose in claims.REQUESTED else FRESH)
    return Batch(account_id, {each: None for each in wanted if each in taken}, until, purpose, fresh_since)


def _looked_up_at(account_id: int, ig_participant_ids: Sequence[str]) -> dict[str, datetime | None]:
    """Return when known contacts were last looked up; None after a failed lookup, or once the picture URL expired.

    A failed lookup is retried even if the name is fresh; else the retry would end without a call, and for good.
    """
    columns = (Identity.ig_participant_id, Identity.last_success_at, Identity.picture_expires_at, Identity.last_error)
    found = select(*columns).where(
        Identity.is_one_of(account_id, ig_participant_ids), Identity.last_success_at.is_not(None)
    )
    now = clock.now()
    return {
        row.ig_participant_id: (
            row.last_success_at if row.last_error is None and (row.picture_expires_at or now) >= now else None
        )
        for row in db.session.execute(found)
    }


def _ig_account_id(account_id: int) -> str:
    return db.session.execute(select(Account.ig_account_id).where(Account.id == account_id)).scalar_one()
