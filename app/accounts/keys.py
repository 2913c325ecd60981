"""Rotate the keys that encrypt stored access tokens, and the secrets of alert receivers."""

from dataclasses import dataclass, field

from sqlalchemy import select, update

from app import audit
from app.db import transaction
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
        stored = select(Account.id, Account.ig_account_id, Account.token).where(Account.token.is_not(None))
        for row in tx.execute(stored.with_for_update()).all():
            try:
                renewed = row.token.renewed()
            except SecretUnreadable:
                done.unreadable.append(row.ig_account_id)
            else:
                tx.execute(update(Account).where(Account.id == row.id).values(token=renewed))
                done.rotated += 1
        signing = select(AlertReceiver.id, AlertReceiver.secret).where(AlertReceiver.secret.is_not(None))
        for row in tx.execute(signing.with_for_update()).all():
            try:
                renewed = row.secret.renewed()
            except SecretUnreadable:
                done.unreadable_receivers.append(str(row.id))
            else:
                tx.execute(update(AlertReceiver).where(AlertReceiver.id == row.id).values(secret=renewed))
                done.rotated += 1
        audit.note(tx, viewer, Action.KEYS_ROTATED)
    return done
