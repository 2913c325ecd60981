"""Find out names, cheapest source first.

`names` asks and yields, writing nothing; `waiting` serves the people who are due, above all those who just wrote.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from app import clock, queue
from app.calls import gateway
from app.db import transaction
from app.db.engine import db
from app.errors import RetryLater
from app.identities import cache, claims, failure_policy, observations
from app.identities.claims import CLAIM
from app.identities.failure_policy import NO_PROFILE, PLACEHOLDER, FailurePolicy
from app.identities.observations import BACKGROUND_DELAY, FRESH, ProfileObservation
from app.instagram.errors import GraphAPIError, Scope
from app.models.identity import Identity, Purpose, Source
from app.models.inbox import Account
from app.text import clean_name, real_name

logger = logging.getLogger(__name__)

BATCH = 10
TURN_SECONDS = 20  # a turn of work, well within a claim; whoever is left gets the next one
PAUSE = timedelta(seconds=5)  # after a failure of the account or app that names no time; the breaker then knows more


_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class LookupOutcome:
    """What one participant's turn brought: a sighting, a verdict, or neither when the row is fresh."""

    ig_participant_id: str
    sighting: ProfileObservation | None = None
    verdict: FailurePolicy | None = None
    calls: int = 0
    raw: dict[str, Any] | None = None

    @property
    def fresh(self) -> bool:
        """Whether nothing had to be asked because the row was fresh."""
        return self.sighting is None and self.verdict is None


@dataclass(frozen=True, slots=True)
class _Claimed:
    people: list[str]
    purpose: Purpose
    until: datetime


def look_up(
    account_id: int,
    ig_participant_ids: Sequence[str],
    *,
    purpose: Purpose,
    fresh_since: datetime,
    run_id: str | None = None,
) -> Iterator[LookupOutcome]:
    """Yield one LookupOutcome per participant: from Redis, the row, or one profile call each.

    What was learnt at or after `fresh_since` (aware UTC) is not asked for again. Raises RetryLater when the budget, the
    account or the app allows no further call; what was yielded before stands.
    """
    learnt_at = _looked_up_at(account_id, ig_participant_ids)
    cached = cache.read(_ig_account_id(account_id), [each for each in ig_participant_ids if each not in learnt_at])
    for each in ig_participant_ids:
        if (learnt_at.get(each) or _NEVER) >= fresh_since:
            yield LookupOutcome(each)
        elif each in cached and cached[each].at >= fresh_since:
            yield LookupOutcome(each, sighting=cached[each])
        else:
            yield _ask(account_id, each, purpose=purpose, run_id=run_id)


def store_outcome(tx: transaction.Tx, account_id: int, outcome: LookupOutcome, *, claim: datetime) -> None:
    """Write what an outcome says into the participant's row, inside the caller's transaction.

    A name is written whoever brings it; the rest only while the participant's `claim` is still the caller's.
    """
    if outcome.sighting is not None:
        observations.record(tx, account_id, outcome.sighting)
    elif outcome.verdict is not None:
        if claims.release(tx, account_id, [outcome.ig_participant_id], claim=claim):
            failed = (account_id, outcome.ig_participant_id, outcome.verdict)
            observations.record_failure(tx, *failed, at=clock.now(), raw=outcome.raw)
    else:
        claims.release_fresh(tx, account_id, outcome.ig_participant_id, claim=claim)


def cache_outcome(account_id: int, outcome: LookupOutcome) -> None:
    """Put a committed outcome into the cache, best effort; not that of a contact who was deleted meanwhile."""
    if outcome.sighting is None or outcome.sighting.source is Source.REDIS:
        return
    found = select(Account.ig_account_id).join(Identity, Identity.account_id == Account.id)
    found = found.where(Account.id == account_id, Identity.ig_participant_id == outcome.ig_participant_id)
    ig_account_id = db.session.execute(found).scalar()
    if ig_account_id is None:
        return
    cache.write(ig_account_id, outcome.sighting)
    db.session.rollback()  # the deletion drops what is cached after its commit, which may lie before the write above
    if db.session.execute(found).first() is None:
        cache.delete(ig_account_id, outcome.ig_participant_id)


def look_up_due(account_id: int) -> None:
    """Look up the people of one account who are due, those who are writing now first, for one turn of work."""
    ends_at = clock.monotonic() + TURN_SECONDS
    while (claimed := _claim_due(account_id)) and _serve(account_id, claimed, ends_at=ends_at):
        if clock.monotonic() >= ends_at:
            queue.enqueue_once(queue.RESOLVE, account_id)
            return


def correct_times() -> None:
    """Make contacts due whose next lookup a wrong clock put too late."""
    now = clock.now()
    late = select(Identity.id).where(Identity.next_try_at > now + observations.SKEW).limit(1)
    if db.session.execute(late).first():
        with transaction.write() as tx:
            observations.correct_times(tx, now=now)


def accounts_due(now: datetime, *, live: bool) -> list[int]:
    """Return the accounts that have people due for a lookup whom nobody is looking up."""
    purposes = (Purpose.LIVE, Purpose.ASKED) if live else (Purpose.BACKFILL, Purpose.REFRESH)
    theirs = (Identity.next_try_at <= now, claims.is_unclaimed(now), Identity.next_purpose.in_(purposes))
    return list(db.session.scalars(select(Identity.account_id).where(*theirs).distinct()))


def _ask(account_id: int, ig_participant_id: str, *, purpose: Purpose, run_id: str | None) -> LookupOutcome:
    try:
        profile = gateway.profile(account_id, ig_participant_id, purpose=purpose, run_id=run_id)
    except GraphAPIError as failure:
        if failure.scope in (Scope.APP, Scope.ACCOUNT):
            if failure.contacts:
                with transaction.write() as tx:
                    observations.withdraw_failures(tx, account_id, failure)
            raise RetryLater(failure.sentence, failure.retry_at or clock.now() + PAUSE) from None
        return LookupOutcome(ig_participant_id, verdict=failure_policy.classify(failure), calls=1, raw=failure.raw)
    seen = ProfileObservation(
        ig_participant_id,
        username=real_name(profile.username),
        name=real_name(profile.name),
        picture_url=profile.picture_url,
        source=Source.PROFILE,
        at=clock.now(),
        raw=profile.raw,
    )
    if not (seen.username or seen.name):
        missing = PLACEHOLDER if clean_name(profile.username) or clean_name(profile.name) else NO_PROFILE
        return LookupOutcome(ig_participant_id, verdict=missing, calls=1, raw=profile.raw)
    return LookupOutcome(ig_participant_id, sighting=seen, calls=1)


def _serve(account_id: int, claimed: _Claimed, *, ends_at: float) -> bool:
    """Look these people up until the turn is over; returns whether there may be more to do."""
    left, go_on_at = dict.fromkeys(claimed.people), None
    # A user who asks for a contact gets a lookup even when the name is fresh.
    fresh_since = clock.now() - (timedelta() if claimed.purpose in claims.ASKED_FOR else FRESH)
    try:
        for outcome in look_up(account_id, claimed.people, purpose=claimed.purpose, fresh_since=fresh_since):
            with transaction.write() as tx:
                store_outcome(tx, account_id, outcome, claim=claimed.until)
            cache_outcome(account_id, outcome)
            del left[outcome.ig_participant_id]
            if queue.stopping() or clock.monotonic() >= ends_at:
                break
    except RetryLater as pause:
        logger.info("lookups pause", extra={"account": account_id, "reason": pause.reason, "until": pause.until})
        go_on_at = pause.until
    if left:
        with transaction.write() as tx:
            latest = clock.now() + BACKGROUND_DELAY  # asked again hourly, which costs no call
            again_at = min(go_on_at, latest) if go_on_at else None
            claims.release(tx, account_id, list(left), claim=claimed.until, next_try_at=again_at)
    return go_on_at is None and not queue.stopping()


def _claim_due(account_id: int) -> _Claimed | None:
    now = clock.now()
    urgent = Identity.next_purpose.in_((Purpose.LIVE, Purpose.ASKED))
    # The last part is for probes: those who wait for the end of a refusal must not all wait behind one contact.
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
    return _Claimed([each for each in wanted if each in taken], purpose, until)


def _looked_up_at(account_id: int, ig_participant_ids: Sequence[str]) -> dict[str, datetime | None]:
    """Return when known participants were last found; None after a failed lookup, or once the picture's address ended.

    A failed lookup is retried however fresh the name is: else the retry would end without a call, and for good.
    """
    columns = (Identity.ig_participant_id, Identity.last_success_at, Identity.picture_expires_at, Identity.last_error)
    found = select(*columns).where(
        Identity.account_id == account_id,
        Identity.ig_participant_id.in_(ig_participant_ids),
        Identity.last_success_at.is_not(None),
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
