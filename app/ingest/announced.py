"""Fetch messages that a webhook announced but Meta never delivered: a few attempts each, then a dead letter."""

import logging
from datetime import datetime, timedelta
from typing import Any

from app import clock
from app.calls import budget
from app.db import transaction
from app.db.transaction import Tx
from app.ingest import dead_letters, pending_updates, sync
from app.instagram.events import MessageAnnounced
from app.instagram.webhook import WebhookItem
from app.models.call import Purpose

logger = logging.getLogger(__name__)

BUDGET_DIVISOR = 10  # at most a tenth of the account's API call budget
POSTPONED = timedelta(minutes=1)  # an attempt without a call does not count
GIVEN_UP = timedelta(days=1)  # if no call was possible
EXPLANATION = "Instagram announced this message but never delivered it; open it in the Instagram app"


def fetch_due(account_id: int) -> None:
    """Fetch an account's announced messages that are due, all with one sync of its newest conversations."""
    with transaction.write() as tx:
        claimed = pending_updates.claim(tx, account_id, at=clock.now())
    if not claimed:
        return
    tried = False
    try:
        tried = not _is_share_used(account_id) and _is_synced(account_id)
    finally:
        with transaction.write() as tx:
            for row in pending_updates.still_pending(tx, claimed):
                _schedule_next(tx, account_id, row, tried=tried)


def _is_share_used(account_id: int) -> bool:
    hour = budget.forecast(account_id)
    return hour is not None and hour.by_purpose.get(Purpose.ANNOUNCED, 0) >= max(1, hour.limit // BUDGET_DIVISOR)


def _is_synced(account_id: int) -> bool:
    return sync.sync_account(account_id, limit=sync.UNCHANGED, until_known=True, purpose=Purpose.ANNOUNCED).complete


def _schedule_next(tx: Tx, account_id: int, row: Any, *, tried: bool) -> None:
    now, tries = clock.now(), row.tries + tried
    if tries >= len(pending_updates.PAUSES) or (not tried and now - row.received_at > GIVEN_UP):
        pending_updates.set_next_try(tx, row.id, None, tries=tries)
        _give_up(tx, account_id, row.payload, at=now)
    else:
        pending_updates.set_next_try(
            tx, row.id, now + (pending_updates.PAUSES[tries] if tried else POSTPONED), tries=tries
        )


def _give_up(tx: Tx, account_id: int, payload: dict[str, Any], *, at: datetime) -> None:
    sent_at = datetime.fromisoformat(payload["sent_at"])
    ig_account_id, mid = payload["ig_account_id"], payload["mid"]
    announced = {"timestamp": round(sent_at.timestamp() * 1000), "message_edit": {"mid": mid, "num_edit": 0}}
    raw = {"object": "instagram", "entry": [{"id": ig_account_id, "messaging": [announced]}]}
    item = WebhookItem(ig_account_id, MessageAnnounced(ig_account_id, sent_at, mid), "", "", raw)
    dead_letters.keep(tx, item, account_id=account_id, reason=dead_letters.UNRESOLVED, explanation=EXPLANATION, at=at)
    logger.warning("announced message not found", extra={"account": account_id, "mid": mid})
