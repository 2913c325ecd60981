"""Delete the data of accounts that a user removed or whose owner requested it."""

import logging
from datetime import datetime

from sqlalchemy import delete, select, update

from app import clock
from app.db import transaction
from app.db.engine import db
from app.db.transaction import Tx
from app.erasure import owner_requests
from app.identities import cache
from app.models.account import Account, AccountState
from app.models.alert import AlertDelivery, AlertReceiver
from app.models.audit import Action, AuditEntry
from app.models.conversation import Message
from app.models.erasure import Outcome, OwnerRequest
from app.models.identity import Identity
from app.models.ingest import DeadLetter
from app.models.user import ApiToken, User
from app.viewer import OPERATOR

logger = logging.getLogger(__name__)

CHUNK = 5_000  # messages per transaction, so that other transactions can write in between


def delete_pending() -> None:
    """Delete all accounts in state DELETING, and complete the deletion requests that asked for it."""
    owner_requests.carry_out_matched()
    running = (OwnerRequest.done_at.is_(None), OwnerRequest.account_id.is_not(None))
    codes = db.session.scalars(select(OwnerRequest.code).where(*running)).all()
    for account_id in db.session.scalars(select(Account.id).where(Account.state == AccountState.DELETING)).all():
        _delete_account(account_id)
    for code in codes:
        with transaction.write() as tx:
            done = {"done_at": clock.now(), "outcome": Outcome.DONE, "account_id": None}
            tx.execute(update(OwnerRequest).where(OwnerRequest.code == code).values(**done))


def delete_restored(tx: Tx, account_id: int, ig_account_id: str, *, action: Action, at: datetime) -> None:
    """Delete an account that a restore brought back, and record that it had been deleted by `action` at `at`."""
    entry = {"at": at, "actor": OPERATOR.actor, "action": action, "ig_account_id": ig_account_id}
    tx.execute(tx.insert(AuditEntry).values(**entry))
    _delete_rest(tx, account_id, ig_account_id)


def _delete_rest(tx: Tx, account_id: int, ig_account_id: str) -> None:
    tx.execute(delete(DeadLetter).where(DeadLetter.ig_account_id == ig_account_id))
    about = AlertDelivery.payload.contains(f'"accountId": "{ig_account_id}"', autoescape=True)
    tx.execute(delete(AlertDelivery).where(about))
    _remove_access(tx, account_id)
    tx.execute(delete(Account).where(Account.id == account_id))


def _remove_access(tx: Tx, account_id: int) -> None:
    """Remove an account from every list of accounts: SQLite gives its row ID to the next account."""
    for model in (User, ApiToken, AlertReceiver):
        limited = select(model.id, model.account_ids).where(model.account_ids.is_not(None)).with_for_update()
        for row in tx.execute(limited).all():
            if account_id in row.account_ids:
                rest = [each for each in row.account_ids if each != account_id]
                tx.execute(update(model).where(model.id == row.id).values(account_ids=rest))


def _delete_account(account_id: int) -> None:
    row = db.session.execute(
        select(Account.ig_account_id).where(Account.id == account_id, Account.state == AccountState.DELETING)
    ).first()
    if row is None:
        return
    contacts = db.session.scalars(select(Identity.ig_participant_id).where(Identity.account_id == account_id)).all()
    for ig_participant_id in contacts:
        cache.delete(row.ig_account_id, ig_participant_id)
    chunk = select(Message.id).where(Message.account_id == account_id).limit(CHUNK)
    deleted = CHUNK
    while deleted == CHUNK:
        with transaction.write() as tx:
            deleted = tx.execute(delete(Message).where(Message.id.in_(chunk))).rowcount
    with transaction.write() as tx:
        _delete_rest(tx, account_id, row.ig_account_id)
        tx.mark_changed(account_id)
    for ig_participant_id in contacts:  # again: a lookup that was running may have cached its result meanwhile
        cache.delete(row.ig_account_id, ig_participant_id)
    logger.warning("account deleted", extra={"account": account_id})
