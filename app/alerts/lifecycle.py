"""Open, recover and acknowledge alerts. The scheduler compares them with the stored findings every few seconds."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, or_, select, update

from app import audit, change_tokens, clock, findings
from app.alerts import gap_alerts, outbox, rules
from app.alerts.rules import Key, Problem
from app.db import transaction
from app.db.engine import db
from app.db.transaction import Tx
from app.errors import Conflict, NotFound
from app.models.account import Account, AccountState
from app.models.alert import Alert, AlertKind
from app.models.audit import Action
from app.viewer import SCHEDULE, Role, Viewer

logger = logging.getLogger(__name__)

FLAPPING = timedelta(minutes=30)  # an alert that returns within it is the same one, and is not reported again
SEEN_EVERY = timedelta(minutes=1)
KEPT = timedelta(days=90)


@dataclass(slots=True)
class Changes:
    """What has to change: alerts to open, open ones that are still found, recovered, or not reported as open yet."""

    opened: dict[Key, Problem]
    seen: list[tuple[int, Problem]]
    recovered: list[Any]
    unreported: list[Any]

    def __bool__(self) -> bool:
        return bool(self.opened or self.seen or self.recovered or self.unreported)


def record() -> None:
    """Open, update and recover alerts as the stored findings say. Reads only, unless something has changed.

    Does nothing while the health checks do not run. Any number of schedulers may call it.
    """
    now = clock.now()
    if not _changes(now):
        return
    with transaction.write() as tx:
        if tx.dialect == "postgresql":  # of two schedulers, the second one finds the changes of the first
            tx.execute(select(func.pg_advisory_xact_lock(func.hashtext(Alert.__tablename__))))
        _apply(tx, _changes(now), now)


def acknowledge(viewer: Viewer, alert_id: int) -> None:
    """Record that the viewer takes care of an open alert; for ops. Raises NotFound, and Conflict if another user does.

    An alert stays acknowledged when it returns within FLAPPING.
    """
    viewer.require(Role.OPS)
    found = viewer.visible(select(Alert).where(Alert.id == alert_id), Alert.account_id)
    alert = db.session.scalars(found).one_or_none()
    if alert is None:
        raise NotFound("alert")
    with transaction.write() as tx:
        unseen = (Alert.id == alert_id, Alert.open_key.is_not(None), Alert.acknowledged_at.is_(None))
        values = {"acknowledged_at": clock.now(), "acknowledged_by": viewer.name}
        if not tx.execute(update(Alert).where(*unseen).values(**values)).rowcount:
            raise _refusal(tx, alert_id)
        audit.note(tx, viewer, Action.ALERT_ACKNOWLEDGED, f"alert {alert_id}", account_id=alert.account_id)
        _mark_changed(tx)


def purge(tx: Tx, now: datetime) -> int:
    """Delete alerts that recovered more than 90 days ago. Return their number."""
    return int(tx.execute(delete(Alert).where(Alert.recovered_at < now - KEPT)).rowcount)


def _refusal(tx: Tx, alert_id: int) -> Conflict:
    row = tx.execute(select(Alert.acknowledged_by, Alert.open_key).where(Alert.id == alert_id)).one_or_none()
    if row is None or row.open_key is None:
        return Conflict("This alert has recovered already. Nothing was changed.")
    return Conflict(f"{row.acknowledged_by} has acknowledged this alert already. Nothing was changed.")


def _changes(now: datetime) -> Changes:
    report = findings.report(SCHEDULE)
    if report.notice:
        return Changes({}, [], [], [])
    problems = rules.problems(report.findings, now) | gap_alerts.problems()
    columns = (Alert.id, Alert.kind, Alert.account_id, Alert.since, Alert.seen_at, Alert.reported_open, Alert.times)
    of_account = (Account.ig_account_id, Account.alerts_muted_at.is_not(None).label("muted"))
    found = select(*columns, *of_account).outerjoin(Account, Account.id == Alert.account_id)
    # Alerts of an account that is being deleted go with it: they have not recovered.
    kept = or_(Alert.account_id.is_(None), Account.state != AccountState.DELETING)
    # Those that only a newer release finds, before a rollback to this one, have not recovered either.
    ours = Alert.kind.in_(list(AlertKind))
    opened = db.session.execute(found.where(Alert.open_key.is_not(None), ours, kept))
    rows: Mapping[Key, Any] = {(row.kind, row.ig_account_id): row for row in opened}
    return Changes(
        opened={
            key: problem
            for key, problem in problems.items()
            if problem.opens and key not in rows and not rules.is_explained(key, problems)
        },
        seen=[
            (row.id, problems[key]) for key, row in rows.items() if key in problems and row.seen_at <= now - SEEN_EVERY
        ],
        recovered=[
            row for key, row in rows.items() if key not in problems and rules.was_checked(key[0], report.findings)
        ],
        unreported=[
            row
            for key, row in rows.items()
            if key in problems and not row.reported_open and not row.muted and row.since <= now - FLAPPING
        ],
    )


def _apply(tx: Tx, changes: Changes, now: datetime) -> None:
    ids = {row.ig_account_id: row.id for row in tx.execute(select(Account.ig_account_id, Account.id))}
    for (kind, ig_account_id), problem in changes.opened.items():
        if ig_account_id is None or ig_account_id in ids:  # an account may be deleted meanwhile
            _open(tx, kind, ids.get(ig_account_id or ""), problem, now)
    for alert_id, problem in changes.seen:
        tx.execute(update(Alert).where(Alert.id == alert_id).values(seen_at=now, **_columns(problem)))
    for row in changes.recovered:
        _recover(tx, row, now)
    for row in changes.unreported:
        _report(tx, row.id, now)


def _open(tx: Tx, kind: AlertKind, account_id: int | None, problem: Problem, now: datetime) -> None:
    values = {"open_key": f"{kind} {account_id or ''}", "since": now, "seen_at": now, **_columns(problem)}
    same = Alert.account_id.is_(None) if account_id is None else Alert.account_id == account_id
    recent = select(Alert.id).where(Alert.kind == kind, same, Alert.recovered_at > now - FLAPPING)
    alert_id = tx.execute(recent.order_by(Alert.recovered_at.desc()).limit(1)).scalar()
    if alert_id is not None:
        again = update(Alert).where(Alert.id == alert_id)
        tx.execute(again.values(recovered_at=None, times=Alert.times + 1, **values))
    else:
        # The end of the cause was the news; of its gap, the result is.
        known = kind is AlertKind.GAP_FOUND and gap_alerts.cause_was_reported(tx, account_id, now - FLAPPING)
        row = tx.insert(Alert).values(kind=kind, account_id=account_id, opened_at=now, **values)
        alert_id = tx.execute(row.returning(Alert.id)).scalar_one()
        if not known:
            _report(tx, alert_id, now)
    logger.warning("alert opened", extra={"alert": alert_id, "kind": kind, "account": account_id})
    _mark_changed(tx)


def _report(tx: Tx, alert_id: int, now: datetime) -> None:
    if outbox.add_opened(tx, alert_id, now):
        tx.execute(update(Alert).where(Alert.id == alert_id).values(reported_open=True))


def _recover(tx: Tx, row: Any, now: datetime) -> None:
    values: dict[str, Any] = {"open_key": None, "recovered_at": now, "reported_open": False}
    fetched = gap_alerts.result(row.account_id, row.since) if row.kind is AlertKind.GAP_FOUND else None
    if fetched:
        values |= _columns(fetched)
    tx.execute(update(Alert).where(Alert.id == row.id).values(**values))
    if row.reported_open or (fetched and row.times == 1):
        outbox.add_recovered(tx, row.id, now)
    logger.info("alert recovered", extra={"alert": row.id, "kind": row.kind, "account": row.account_id})
    _mark_changed(tx)


def _columns(problem: Problem) -> dict[str, Any]:
    return {"level": problem.level, "text": problem.text, "fix": problem.fix}


def _mark_changed(tx: Tx) -> None:
    """Report the change to the pages of every account: they show the alerts of all that their viewer sees."""
    tx.mark_changed(change_tokens.EVERY_ACCOUNT, change_tokens.NO_CONTACT)
