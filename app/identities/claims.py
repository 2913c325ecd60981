"""Claims: across all processes, one worker at a time looks a contact up."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Update, or_, update

from app.db.transaction import Tx
from app.models.call import Purpose
from app.models.identity import Identity

REQUESTED = (Purpose.ASKED, Purpose.REFRESH)  # by a user; REFRESH for a contact who was looked up before
CLAIM = timedelta(seconds=30)  # longer than a task works (TURN_SECONDS)


def is_unclaimed(now: datetime) -> ColumnElement[bool]:
    """Select the contacts that no worker is looking up."""
    # A claim far longer than CLAIM was written by a wrong clock.
    return or_(Identity.claimed_until.is_(None), Identity.claimed_until < now, Identity.claimed_until > now + 2 * CLAIM)


def take(tx: Tx, account_id: int, ig_participant_ids: Sequence[str], *, now: datetime, until: datetime) -> set[str]:
    """Claim these contacts until `until` (aware UTC). Return those that no other worker has claimed.

    `until` also proves the claim: two consecutive claims never end at the same microsecond.
    """
    named = Identity.is_one_of(account_id, ig_participant_ids)
    taken = update(Identity).where(named, is_unclaimed(now)).values(claimed_until=until)
    return set(tx.execute(taken.returning(Identity.ig_participant_id)).scalars())


def release(
    tx: Tx,
    account_id: int,
    ig_participant_ids: Sequence[str],
    *,
    claim: datetime,
    next_try_at: datetime | None = None,
) -> bool:
    """Release the contacts that the caller still holds under `claim`. Return whether there was any.

    Those with a planned lookup get `next_try_at` as its time, unless that is None.
    """
    mine = update(Identity).where(_held(account_id, ig_participant_ids, claim))
    if next_try_at is not None:
        _replan(tx, account_id, mine.where(Identity.next_try_at.is_not(None)).values(next_try_at=next_try_at))
    return bool(tx.execute(mine.values(claimed_until=None)).rowcount)


def release_fresh(tx: Tx, account_id: int, ig_participant_id: str, *, claim: datetime) -> None:
    """Release a fresh contact, and clear their next lookup unless a user requested it."""
    mine = update(Identity).where(_held(account_id, [ig_participant_id], claim))
    not_requested = or_(Identity.next_purpose.is_(None), Identity.next_purpose.not_in(REQUESTED))
    planned = mine.where(not_requested, Identity.next_try_at.is_not(None))
    _replan(tx, account_id, planned.values(next_try_at=None, next_purpose=None))
    tx.execute(mine.values(claimed_until=None))


def _replan(tx: Tx, account_id: int, plan: Update) -> None:
    """Change the times of next lookups, and mark the contacts' threads as changed, which show them."""
    for ig_participant_id in tx.execute(plan.returning(Identity.ig_participant_id)).scalars().all():
        tx.mark_changed(account_id, ig_participant_id)


def _held(account_id: int, ig_participant_ids: Sequence[str], claim: datetime) -> ColumnElement[bool]:
    return Identity.is_one_of(account_id, ig_participant_ids) & (Identity.claimed_until == claim)
