"""Findings of the health checks as the scheduler last stored them, for the Health page, the API and `nametag health`.

The checks are in `doctor.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select

from app import clock
from app.db import transaction
from app.db.engine import db
from app.db.types import member
from app.models.account import Account
from app.models.process import CheckedPart, StoredFinding
from app.models.process import Level as Level
from app.viewer import Viewer

CURRENT = timedelta(minutes=2)  # the scheduler stores findings every 30 seconds
UNKNOWN = "unknown"
SILENT = f"{CheckedPart.ACCOUNTS}.silent"  # key of the finding that an account gets no webhooks
_ERROR = select(StoredFinding.id).where(StoredFinding.level == Level.ERROR).limit(1)
START_SCHEDULER = "Start the scheduler with `nametag scheduler`, or everything with `nametag up`."


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check: `fix` says what to do, None if nothing. Also the JSON of `nametag doctor --json`.

    `key` names the kind of finding, which its account makes unique, and begins with the part that was checked.
    """

    check: str
    level: Level
    message: str
    fix: str | None = None
    key: str = field(kw_only=True)
    ig_account_id: str | None = field(default=None, kw_only=True)

    @property
    def part(self) -> CheckedPart:
        """What the check is about."""
        return member(CheckedPart, self.key.partition(".")[0])


@dataclass(frozen=True, slots=True)
class KnownFinding(Finding):
    """A stored finding, with the time (aware UTC) since when each run of the checks has found it."""

    since: datetime = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The stored findings and the worst of their levels, "unknown" if the checks have not run for two minutes.

    `checked_at` is aware UTC, None if the checks never ran. `notice` then says why the state is unknown, and the fix.
    """

    state: str
    checked_at: datetime | None
    notice: str | None
    findings: tuple[KnownFinding, ...]

    @property
    def age_seconds(self) -> float:
        """Seconds since the checks last ran; 0 if they never ran."""
        return (clock.now() - self.checked_at).total_seconds() if self.checked_at else 0.0

    @property
    def by_part(self) -> dict[CheckedPart, list[KnownFinding]]:
        """The findings of each part that has any, worst first."""
        found = {part: [each for each in self.findings if each.part == part] for part in CheckedPart}
        return {part: sorted(some, key=_badness) for part, some in found.items() if some}


def worst(found: Sequence[Finding]) -> Level:
    """Return the worst level of findings; OK without any."""
    return min(found, key=_badness).level if found else Level.OK


def store(found: Sequence[Finding], now: datetime) -> None:
    """Replace the stored findings. One that was stored before, with the same level, keeps its `since`."""
    with transaction.write() as tx:
        if tx.dialect == "postgresql":  # of two processes that store at the same time, the second one waits
            tx.execute(select(func.pg_advisory_xact_lock(func.hashtext(StoredFinding.__tablename__))))
        ids = {row.ig_account_id: row.id for row in tx.execute(select(Account.ig_account_id, Account.id))}
        columns = (StoredFinding.key, StoredFinding.account_id, StoredFinding.level, StoredFinding.since)
        since = {(row.key, row.account_id, row.level): row.since for row in tx.execute(select(*columns))}
        tx.execute(delete(StoredFinding))
        rows = [
            {
                "key": each.key,
                "check": each.check,
                "account_id": (account_id := ids.get(each.ig_account_id or "")),
                "level": each.level,
                "message": each.message,
                "fix": each.fix,
                "since": since.get((each.key, account_id, each.level), now),
                "seen_at": now,
            }
            for each in found
            if each.ig_account_id is None or each.ig_account_id in ids  # an account may be deleted meanwhile
        ]
        if rows:
            tx.execute(tx.insert(StoredFinding), rows)


def report(viewer: Viewer) -> HealthReport:
    """Return the stored findings of the accounts that the viewer may see; others only to viewers of all accounts."""
    checked_at = db.session.scalar(select(func.max(StoredFinding.seen_at)))
    columns = (getattr(StoredFinding, name) for name in ("check", "level", "message", "fix", "key", "since"))
    found = select(*columns, Account.ig_account_id).outerjoin(Account, Account.id == StoredFinding.account_id)
    found = viewer.visible(found, StoredFinding.account_id).order_by(StoredFinding.id)
    known = tuple(KnownFinding(**row._mapping) for row in db.session.execute(found))
    notice = _notice(checked_at)
    return HealthReport(UNKNOWN if notice else worst(known).value, checked_at, notice, known)


def has_error(viewer: Viewer) -> bool:
    """Return whether a stored finding that the viewer may see is an error."""
    return db.session.execute(viewer.visible(_ERROR, StoredFinding.account_id)).first() is not None


def _notice(checked_at: datetime | None) -> str | None:
    if checked_at is None:
        return f"The checks have not run yet: the scheduler runs them every 30 seconds. {START_SCHEDULER}"
    age = clock.now() - checked_at
    if age < CURRENT:
        return None
    old = f"{age // timedelta(minutes=1)} minutes"
    return (
        f"These findings are {old} old: the scheduler, which runs the checks every 30 seconds, has not. "
        f"{START_SCHEDULER}"
    )


def _badness(found: Finding) -> int:
    order = list(Level)  # a level that a newer release stored is as bad as an error
    return -order.index(found.level) if found.level in order else -len(order)
