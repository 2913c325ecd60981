"""One lookup at a time for each participant: who looks whom up right now, over all processes."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Update, or_, update

from app.db.transaction import Tx
from app.models.identity import Identity, Purpose

ASKED_FOR = (Purpose.ASKED, Purpose.REFRESH)  # by a user: the latter for a contact who was looked up before
CLAIM = timedelta(seconds=30)  # a turn of work ends well before


def is_unclaimed(now: datetime) -> ColumnElement[bool]:
    """Select the participants whom nobody is looking up."""
    # A claim that runs far longer than any was given comes from a clock that was wrong (reliability.md F29).
    return or_(Identity.claimed_until.is_(None), Identity.claimed_until < now, Identity.claimed_until > now + 2 * CLAIM)


def take(tx: Tx, account_id: int, ig_participant_ids: Sequence[str], *, now: datetime, until: datetime) -> set[str]:
    """Take these participants for lookup until `until`; returns those that nobody else is looking up.

    `until` is also what proves the claim: no two that follow each other end at the same microsecond.
    """
    people = (Identity.account_id == account_id, Identity.ig_participant_id.in_(ig_participant_ids))
    taken = update(Identity).where(*people, is_unclaimed(now)).values(claimed_until=until)
    return set(tx.execute(taken.returning(Identity.ig_participant_id)).scalars())


def release(
    tx: Tx,
    account_id: int,
    ig_participant_ids: Sequence[str],
    *,
    claim: datetime,
    next_try_at: datetime | None = None,
) -> bool:
    """Give participants back whose `claim` is still ours; returns whether any was.

    Who is due again waits until `next_try_at`, where that is given.
    """
    mine = update(Identity).where(*_held(account_id, ig_participant_ids, claim))
    if next_try_at is not None:
        _replan(tx, account_id, mine.where(Identity.next_try_at.is_not(None)).values(next_try_at=next_try_at))
    return bool(tx.execute(mine.values(claimed_until=None)).rowcount)


def release_fresh(tx: Tx, account_id: int, ig_participant_id: str, *, claim: datetime) -> None:
    """Give a claimed participant back who is fresh, and take them out of the line unless somebody asked for them."""
    mine = update(Identity).where(*_held(account_id, [ig_participant_id], claim))
    unasked = or_(Identity.next_purpose.is_(None), Identity.next_purpose.not_in(ASKED_FOR))
    planned = mine.where(unasked, Identity.next_try_at.is_not(None))
    _replan(tx, account_id, planned.values(next_try_at=None, next_purpose=None))
    tx.execute(mine.values(claimed_until=None))


def _replan(tx: Tx, account_id: int, plan: Update) -> None:
    """Change when contacts are looked up next, which their threads show."""
    for ig_participant_id in tx.execute(plan.returning(Identity.ig_participant_id)).scalars().all():
        tx.mark_changed(account_id, ig_participant_id)


def _held(account_id: int, ig_participant_ids: Sequence[str], claim: datetime) -> tuple[ColumnElement[bool], ...]:
    who = Identity.ig_participant_id.in_(ig_participant_ids)
    return Identity.account_id == account_id, who, Identity.claimed_until == claim
