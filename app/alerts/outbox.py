"""What is sent to alert receivers: payloads, and one delivery per event and receiver, in the transaction of its cause.

Payloads hold IDs, counts and sentences: never a name, a username or a message.
"""

import json
import secrets
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select, update

from app import audit, clock
from app.alerts import receivers
from app.clock import rfc3339
from app.db import transaction
from app.db.engine import db
from app.db.transaction import Tx
from app.errors import Conflict
from app.labels import label
from app.models.account import Account
from app.models.alert import Alert, AlertDelivery, AlertEvent, AlertReceiver, DeliveryState
from app.models.audit import Action
from app.viewer import Role, Viewer

KEPT = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at `at` (aware UTC). `key` names it; `facts` are the data of its payload."""

    event: AlertEvent
    key: str
    facts: Mapping[str, Any]
    account_id: int
    at: datetime


_RECEIVERS = select(  # that are on
    *(AlertReceiver.id, AlertReceiver.events, AlertReceiver.account_ids, AlertReceiver.created_at),
    *(AlertReceiver.quiet_from, AlertReceiver.quiet_until, AlertReceiver.zone),
).where(AlertReceiver.disabled_at.is_(None))


def add_opened(tx: Tx, alert_id: int, now: datetime) -> bool:
    """Queue the report that an alert is open. Return False if its account is muted: nothing is sent."""
    row = _alert(tx, alert_id)
    if row.muted_at is None:
        _add_alert(tx, AlertEvent.OPENED, row, now)
    return row.muted_at is None


def add_recovered(tx: Tx, alert_id: int, now: datetime) -> None:
    """Queue the report that an alert has recovered, for receivers that may know that it was open.

    For the others, the report that it is open becomes obsolete: quiet hours held it. A report with failed attempts, or
    that is being sent, may have arrived: those receivers are sent the recovery only. Of a muted account, nothing is
    sent.
    """
    row = _alert(tx, alert_id)
    if row.muted_at is not None:
        return
    queued = (
        *(AlertDelivery.alert_id == alert_id, AlertDelivery.event == AlertEvent.OPENED),
        AlertDelivery.state == DeliveryState.QUEUED,
    )
    unsent = set(tx.execute(select(AlertDelivery.receiver_id).where(*queued, AlertDelivery.tries == 0)).scalars())
    later = set(tx.execute(select(AlertReceiver.id).where(AlertReceiver.created_at > row.since)).scalars())
    ended = {"state": DeliveryState.OBSOLETE, "next_try_at": None, "ended_at": now}
    tx.execute(update(AlertDelivery).where(*queued).values(**ended))
    _add_alert(tx, AlertEvent.RECOVERED, row, now, left_out=unsent | later)


def add(
    tx: Tx,
    event: AlertEvent,
    key: str,
    facts: Mapping[str, Any],
    *,
    account_id: int | None,
    now: datetime,
    alert_id: int | None = None,
    left_out: Set[int] = frozenset(),
) -> None:
    """Queue an event for each receiver that is on and wants it, at the end of its quiet hours.

    `key` names the event: each receiver is sent it once.
    """
    for row in tx.execute(_RECEIVERS).all():
        if row.id not in left_out and _wants(row, event, account_id):
            _queue(tx, row, event, key, facts, now=now, alert_id=alert_id)


def wanted(*events: AlertEvent) -> bool:
    """Return whether a receiver that is on wants one of these events."""
    found = db.session.scalars(select(AlertReceiver.events).where(AlertReceiver.disabled_at.is_(None)))
    return any(not set(events).isdisjoint(each) for each in found)


def add_missing(events: Sequence[Event]) -> None:
    """Queue events for each receiver that wants them, was added before they happened, and was not sent them yet."""
    rows = db.session.execute(_RECEIVERS).all()
    columns = select(AlertDelivery.receiver_id, AlertDelivery.key)
    known = {tuple(row) for row in db.session.execute(columns.where(AlertDelivery.key.in_({e.key for e in events})))}
    missing = [
        (row, each)
        for each in events
        for row in rows
        if _wants(row, each.event, each.account_id) and row.created_at <= each.at and (row.id, each.key) not in known
    ]
    if not missing:
        return
    now = clock.now()
    with transaction.write() as tx:
        for row, each in missing:
            _queue(tx, row, each.event, each.key, each.facts, now=now, alert_id=None)


def send_test(viewer: Viewer, receiver_id: int) -> None:
    """Queue a test for one receiver, also in its quiet hours; for admins. Raises NotFound, Conflict if it is off."""
    viewer.require(Role.ADMIN)
    row = receivers.require(receiver_id)
    if row.disabled_at:
        raise Conflict("This alert receiver is switched off. Switch it on first.")
    now, key = clock.now(), f"{AlertEvent.TEST} {secrets.token_hex(6)}"
    facts = {"text": "This is a test of Nametag. Nothing needs to be done."}
    with transaction.write() as tx:
        _queue(tx, row, AlertEvent.TEST, key, facts, now=now, alert_id=None)
        audit.note(tx, viewer, Action.RECEIVER_TESTED, f"alert receiver {receiver_id}")


def purge(tx: Tx, now: datetime) -> int:
    """Delete deliveries that are older than 30 days. Return their number."""
    return int(tx.execute(delete(AlertDelivery).where(AlertDelivery.created_at < now - KEPT)).rowcount)


def _wants(row: Any, event: AlertEvent, account_id: int | None) -> bool:
    return event in row.events and (row.account_ids is None or account_id in row.account_ids)


def _add_alert(tx: Tx, event: AlertEvent, row: Any, now: datetime, *, left_out: Set[int] = frozenset()) -> None:
    key = f"{event} {row.id} {clock.microseconds(row.since)}"
    add(tx, event, key, _of_alert(row), account_id=row.account_id, alert_id=row.id, now=now, left_out=left_out)


def _queue(
    tx: Tx, row: Any, event: AlertEvent, key: str, facts: Mapping[str, Any], *, now: datetime, alert_id: int | None
) -> None:
    quiet = None if event is AlertEvent.TEST else receivers.quiet_hours(row)
    values = {
        "receiver_id": row.id,
        "alert_id": alert_id,
        "event": event,
        "key": key,
        "message_id": f"msg_{secrets.token_hex(12)}",
        "payload": json.dumps({"type": event, "timestamp": rfc3339(now), "data": facts}),
        "state": DeliveryState.QUEUED,
        "next_try_at": quiet.until(now) if quiet else now,
        "created_at": now,
    }
    tx.execute(tx.insert(AlertDelivery).values(**values).on_conflict_do_nothing())


def _alert(tx: Tx, alert_id: int) -> Any:
    columns = (column for column in Alert.__table__.c if column.name != "open_key")
    found = select(*columns, Account.ig_account_id, Account.alerts_muted_at.label("muted_at"))
    found = found.outerjoin(Account, Account.id == Alert.account_id)
    return tx.execute(found.where(Alert.id == alert_id)).one()


def _of_alert(row: Any) -> dict[str, Any]:
    return {
        "alertId": str(row.id),
        "kind": row.kind,
        "title": label(row.kind),
        "level": row.level,
        "accountId": row.ig_account_id,
        "text": row.text,
        "fix": row.fix,
        "times": row.times,
        "openedAt": rfc3339(row.opened_at),
        "recoveredAt": rfc3339(row.recovered_at),
    }
