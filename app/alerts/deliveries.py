"""Send what is due to alert receivers, retry what failed, and give up after six attempts.

The scheduler calls it from a thread of its own: a receiver that hangs delays no other duty. No transaction and no
snapshot is held while a receiver is waited for.
"""

import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select, update
from standardwebhooks.webhooks import Webhook

from app import clock, installation
from app.alerts import email, http, receivers
from app.alerts.deadline import NotSent
from app.db import transaction
from app.db.engine import db
from app.db.transaction import Tx
from app.db.types import SecretUnreadable
from app.models.alert import AlertDelivery, AlertReceiver, DeliveryState, ReceiverKind

logger = logging.getLogger(__name__)

# After each failed attempt but the last one, which gives up.
RETRY_DELAYS = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 30, 120, 360))
LEASE = timedelta(minutes=1)  # longer than an attempt: another scheduler repeats one whose process was killed
GONE = 410
_DUE = (
    *(AlertDelivery.id, AlertDelivery.message_id, AlertDelivery.payload, AlertDelivery.tries),
    *(AlertDelivery.next_try_at, AlertDelivery.receiver_id, AlertReceiver.kind, AlertReceiver.address),
    *(AlertReceiver.secret, AlertReceiver.old_secret, AlertReceiver.old_secret_until),
    *(AlertReceiver.quiet_from, AlertReceiver.quiet_until, AlertReceiver.zone),
)


def send_due() -> None:
    """Send the oldest delivery that is due of each receiver. Several schedulers share them."""
    oldest = select(func.min(AlertDelivery.id)).where(*_queued(clock.now())).group_by(AlertDelivery.receiver_id)
    due = select(*_DUE).join(AlertReceiver).where(AlertReceiver.disabled_at.is_(None), AlertDelivery.id.in_(oldest))
    rows = db.session.execute(due.order_by(AlertDelivery.id)).all()
    db.session.rollback()
    for row in rows:
        if _claim(row):
            _send(row)


def _queued(now: Any) -> tuple[Any, ...]:
    return AlertDelivery.state == DeliveryState.QUEUED, AlertDelivery.next_try_at <= now


def _claim(row: Any) -> bool:
    """Return whether this process may send, and count the attempt.

    Another scheduler may have taken the delivery, or the alert has recovered.
    """
    with transaction.write() as tx:
        free = update(AlertDelivery).where(AlertDelivery.id == row.id, *_queued(clock.now()))
        return bool(tx.execute(free.values(next_try_at=clock.now() + LEASE, tries=AlertDelivery.tries + 1)).rowcount)


def _send(row: Any) -> None:
    try:
        status = _attempt(row)
    except NotSent as failure:
        _record_failure(row, str(failure))
        return
    if 200 <= status < 300:
        ended = {"state": DeliveryState.DELIVERED, "ended_at": clock.now(), "error": None}
        with transaction.write() as tx:
            _update(tx, row, tries=row.tries + 1, next_try_at=None, **ended)
    elif status == GONE:
        _switch_off(row)
    else:
        _record_failure(row, f"it answered {status}")


def _attempt(row: Any) -> int:
    if row.kind is ReceiverKind.EMAIL:
        email.send(row.address, row.message_id, json.loads(row.payload))
        return 200
    return http.post(row.address, row.payload.encode(), signed_headers(_secrets(row), row.message_id, row.payload))


def _secrets(row: Any) -> list[str]:
    try:
        found = [row.secret.reveal()]
    except SecretUnreadable:
        raise NotSent("its secret can't be decrypted with TOKEN_ENCRYPTION_KEYS") from None
    if receivers.old_secret_until(row):
        with suppress(SecretUnreadable):  # the new one signs
            found.append(row.old_secret.reveal())
    return found


def signed_headers(secrets: Sequence[str], message_id: str, payload: str) -> dict[str, str]:
    """Return the headers of a request as Standard Webhooks defines them (https://www.standardwebhooks.com).

    With a signature for each of the secrets: the receiver accepts any of them.
    """
    now = clock.now()
    return {
        "Content-Type": "application/json",
        "User-Agent": f"nametag/{installation.VERSION}",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign(message_id, now, payload) for secret in secrets),
    }


def _record_failure(row: Any, error: str) -> None:
    now, tries = clock.now(), row.tries + 1
    values: dict[str, Any] = {"tries": tries, "error": error}
    if tries > len(RETRY_DELAYS):
        values |= {"state": DeliveryState.GIVEN_UP, "next_try_at": None, "ended_at": now}
    else:
        again, quiet = now + RETRY_DELAYS[tries - 1], receivers.quiet_hours(row)
        values["next_try_at"] = quiet.until(again) if quiet else again
    with transaction.write() as tx:
        _update(tx, row, **values)
    logger.warning("alert not delivered", extra={"receiver": row.receiver_id, "attempt": tries, "reason": error})


def _switch_off(row: Any) -> None:
    now = clock.now()
    given_up = {"state": DeliveryState.GIVEN_UP, "next_try_at": None, "ended_at": now, "error": "it answered 410"}
    with transaction.write() as tx:
        tx.execute(update(AlertReceiver).where(AlertReceiver.id == row.receiver_id).values(disabled_at=now))
        rest = (AlertDelivery.receiver_id == row.receiver_id, AlertDelivery.state == DeliveryState.QUEUED)
        tx.execute(update(AlertDelivery).where(*rest).values(**given_up))
    logger.warning("alert receiver switched off: it answered 410", extra={"receiver": row.receiver_id})


def _update(tx: Tx, row: Any, **values: Any) -> None:
    still = (AlertDelivery.id == row.id, AlertDelivery.state == DeliveryState.QUEUED)  # else it became obsolete
    tx.execute(update(AlertDelivery).where(*still).values(**values))
