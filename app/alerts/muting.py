"""Muted accounts: their alerts are listed, but sent to no receiver and counted in no navigation."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update

from app import audit, change_tokens, clock
from app.db import transaction
from app.db.engine import db
from app.errors import Conflict, NotFound
from app.models.account import Account, AccountState
from app.models.alert import Alert, AlertDelivery, AlertEvent, DeliveryState
from app.models.audit import Action
from app.viewer import Role, Viewer


@dataclass(frozen=True, slots=True)
class MutedAccount:
    """A muted account: since when (aware UTC), and who muted it."""

    ig_account_id: str
    since: datetime
    by: str


def mute(viewer: Viewer, ig_account_id: str) -> None:
    """Mute the alerts of an account until a user unmutes them; for ops. Raises NotFound and Conflict.

    What is queued is not sent. Alerts that are still open afterwards are sent then.
    """
    muted = {"alerts_muted_at": clock.now(), "alerts_muted_by": viewer.name}
    _change(viewer, ig_account_id, Action.ALERTS_MUTED, Account.alerts_muted_at.is_(None), muted, "muted already")


def unmute(viewer: Viewer, ig_account_id: str) -> None:
    """Send the alerts of an account again; for ops. Raises NotFound and Conflict."""
    audible = dict.fromkeys(("alerts_muted_at", "alerts_muted_by"))
    _change(viewer, ig_account_id, Action.ALERTS_UNMUTED, Account.alerts_muted_at.is_not(None), audible, "not muted")


def list_muted(viewer: Viewer) -> Sequence[MutedAccount]:
    """Return the muted accounts that the viewer may see, the longest muted first."""
    columns = select(Account.ig_account_id, Account.alerts_muted_at, Account.alerts_muted_by)
    muted = columns.where(Account.alerts_muted_at.is_not(None), Account.state != AccountState.DELETING)
    found = viewer.visible(muted.order_by(Account.alerts_muted_at, Account.id), Account.id)
    rows = db.session.execute(found)
    return [MutedAccount(row.ig_account_id, row.alerts_muted_at, row.alerts_muted_by or "") for row in rows]


def as_dict(viewer: Viewer, ig_account_id: str) -> dict[str, Any]:
    """Return whether the alerts of an account that the viewer may see are muted, with the field names of the API."""
    muted = next((each for each in list_muted(viewer) if each.ig_account_id == ig_account_id), None)
    return {
        "accountId": ig_account_id,
        "mutedAt": muted and clock.rfc3339(muted.since),
        "mutedBy": muted and muted.by,
    }


def _change(
    viewer: Viewer, ig_account_id: str, action: Action, condition: Any, values: dict[str, Any], refusal: str
) -> None:
    viewer.require(Role.OPS)
    known = select(Account.id).where(Account.ig_account_id == ig_account_id, Account.state != AccountState.DELETING)
    account_id = db.session.execute(viewer.visible(known, Account.id)).scalar()
    if account_id is None:
        raise NotFound("account")
    with transaction.write() as tx:
        changed = update(Account).where(Account.id == account_id, condition)
        if not tx.execute(changed.values(**values)).rowcount:
            raise Conflict(f"The alerts of this account are {refusal}. Nothing was changed.")
        alerts = select(Alert.id).where(Alert.account_id == account_id)
        queued = (AlertDelivery.alert_id.in_(alerts), AlertDelivery.state == DeliveryState.QUEUED)
        unsent = select(AlertDelivery.alert_id).where(*queued, AlertDelivery.event == AlertEvent.OPENED)
        tx.execute(update(Alert).where(Alert.id.in_(unsent)).values(reported_open=False))  # sent after unmuting
        tx.execute(delete(AlertDelivery).where(*queued))
        audit.note(tx, viewer, action, f"account {account_id}", account_id=account_id)
        tx.mark_changed(change_tokens.EVERY_ACCOUNT, change_tokens.NO_CONTACT)
