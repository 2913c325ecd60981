"""Rotate the keys that encrypt stored access tokens, and the secrets of alert receivers."""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select, update

from app import audit
from app.db import transaction
from app.db.transaction import Tx
from app.db.types import SecretUnreadable
from app.models.account import Account
from app.models.alert import AlertReceiver
from app.models.audit import Action
from app.viewer import Role, Viewer


@dataclass(slots=True)
class RotationResult:
    """The number of re-encrypted secrets; accounts and alert receivers whose secret no configured key decrypts."""

    rotated: int = 0
    unreadable: list[str] = field(default_factory=list)
    unreadable_receivers: list[str] = field(default_factory=list)


def rotate(viewer: Viewer) -> RotationResult:
    """Encrypt every stored secret with the first of TOKEN_ENCRYPTION_KEYS; for admins. Unreadable ones stay."""
    viewer.require(Role.ADMIN)
    done = RotationResult()
    with transaction.write() as tx:
        _renew(tx, Account.token, Account.ig_account_id, done, done.unreadable)
        _renew(tx, AlertReceiver.secret, AlertReceiver.id, done, done.unreadable_receivers)
        _renew(tx, AlertReceiver.old_secret, AlertReceiver.id, done, [])  # signs for a day at most, with the new one
        audit.note(tx, viewer, Action.KEYS_ROTATED)
    return done


def _renew(tx: Tx, column: Any, name: Any, done: RotationResult, unreadable: list[str]) -> None:
    table = column.class_
    stored = select(table.id, name.label("name"), column.label("secret")).where(column.is_not(None))
    for row in tx.execute(stored.with_for_update()).all():
        try:
            renewed = row.secret.renewed()
        except SecretUnreadable:
            unreadable.append(str(row.name))
        else:
            tx.execute(update(table).where(table.id == row.id).values({column: renewed}))
            done.rotated += 1
