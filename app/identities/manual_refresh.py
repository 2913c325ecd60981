"""Refresh contacts at a user's request: clear their failures and make them due now.

A contact who was looked up within the last 30 seconds is not looked up again. Only the first lookup of a contact may
use the reserve, so repeated requests leave those calls to contacts who are writing now.
"""

from datetime import datetime, timedelta

from sqlalchemy import select

from app import audit, clock, queue
from app.db import transaction
from app.db.transaction import Tx
from app.identities import listing, observations
from app.models.audit import Action
from app.models.identity import Identity
from app.viewer import Role, Viewer

COOLDOWN = timedelta(seconds=30)


def refresh(viewer: Viewer, identity_id: int) -> datetime | None:
    """Request a lookup of one contact, for ops. Return None, or the time of a lookup that is too recent to repeat.

    Raises NotFound, also for a contact the viewer may not see.
    """
    viewer.require(Role.OPS)
    contact = listing.get_identity(viewer, identity_id)
    return request(viewer, contact.account_id, contact.ig_participant_id, f"identity {contact.id}")


def request(viewer: Viewer, account_id: int, ig_participant_id: str, target: str) -> datetime | None:
    """Request a lookup of a contact. Return None, or the time (aware UTC) of a lookup that is too recent to repeat.

    `target` names the subject in the audit log.
    """
    with transaction.write() as tx:
        recent = _request(tx, viewer, account_id, ig_participant_id, target)
    if recent is None:
        queue.enqueue_once(queue.RESOLVE, account_id)
    return recent


def _request(tx: Tx, viewer: Viewer, account_id: int, ig_participant_id: str, target: str) -> datetime | None:
    last = select(Identity.last_success_at, Identity.last_failure_at).where(
        Identity.is_contact(account_id, ig_participant_id)
    )
    row, now = tx.execute(last).first(), clock.now()
    looked_up_at: datetime | None = max(filter(None, row or ()), default=None)
    if looked_up_at is not None and abs(now - looked_up_at) < COOLDOWN:  # a later time was written by a wrong clock
        return looked_up_at
    observations.request_lookup(tx, account_id, ig_participant_id, at=now, first=looked_up_at is None)
    audit.note(tx, viewer, Action.IDENTITY_REFRESHED, target, account_id=account_id)
    tx.mark_changed(account_id, ig_participant_id)
    return None
