"""Alerts about gaps: open while the messages of an ended gap are fetched, then with what was fetched and lost.

They are read from the gaps, not from the findings of the health checks: a sync may fetch a gap between two checks.
"""

from datetime import datetime

from sqlalchemy import or_, select

from app import gaps
from app.alerts import rules
from app.alerts.rules import Key, Problem
from app.db.transaction import Tx
from app.findings import Level
from app.gaps import ListedGap
from app.labels import label
from app.models.alert import Alert, AlertKind

MISSING = "See the gap on the Accounts page. What could not be fetched may still be in Instagram."


def problems() -> dict[Key, Problem]:
    """Return a problem for each account with a gap that is not fetched yet.

    It opens an alert once the gap has ended: before, its cause is the problem.
    """
    unclosed: dict[str, list[ListedGap]] = {}
    for gap in gaps.list_unclosed():
        unclosed.setdefault(gap.ig_account_id, []).append(gap)
    return {(AlertKind.GAP_FOUND, of): _problem(some) for of, some in unclosed.items()}


def result(account_id: int, since: datetime) -> Problem | None:
    """Return what was fetched of the gaps that were closed since then, None if nothing was missed."""
    closed = [each for each in gaps.list_closed(account_id, since) if each.has_news]
    if not closed:
        return None
    unsolved = any(each.missing for each in closed)
    return Problem(Level.WARNING, _text(closed), MISSING if unsolved else None)


def cause_was_reported(tx: Tx, account_id: int | None, recently: datetime) -> bool:
    """Return whether an alert about a cause of gaps is open for the account, or recovered after `recently`."""
    causes = [cause for effect, cause in rules.CAUSES if effect is AlertKind.GAP_FOUND]
    found = select(Alert.id).where(Alert.account_id == account_id, Alert.kind.in_(causes))
    current = or_(Alert.recovered_at.is_(None), Alert.recovered_at > recently)
    return tx.execute(found.where(current).limit(1)).first() is not None


def _problem(found: list[ListedGap]) -> Problem:
    return Problem(Level.WARNING, _text(found), None, opens=any(gap.ended_at for gap in found))


def _text(found: list[ListedGap]) -> str:
    return " ".join(map(_sentence, found))


def _sentence(gap: ListedGap) -> str:
    causes = ", ".join(map(label, gap.causes))
    return gaps.with_outcome(f"Received nothing {_period(gap)} ({causes})", gap)


def _period(gap: ListedGap) -> str:
    begun = f"{gap.began_at:%Y-%m-%d %H:%M}"
    if gap.ended_at is None:
        return f"since {begun} UTC"
    same_day = gap.ended_at.date() == gap.began_at.date()
    return f"from {begun} to {gap.ended_at:{'%H:%M' if same_day else '%Y-%m-%d %H:%M'}} UTC"
