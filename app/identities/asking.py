"""Refresh contacts for a user: clear their failures and make them next in line.

A contact who was looked up within the last 30 seconds is not looked up again, and only the first lookup of a contact
may use the reserve: asking repeatedly cannot use up the calls that are kept for contacts who write.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select

from app import audit, clock, queue
from app.db import transaction
from app.db.transaction import Tx
from app.identities import listing, observations
from app.models.identity import Identity
from app.models.user import Action
from app.viewer import Role, Viewer

COOLDOWN = timedelta(seconds=30)


def refresh(viewer: Viewer, identity_id: int) -> datetime | None:
    """Have one contact looked up now, for ops; returns None, or when that was done if it was too recent to repeat.

    Raises NotFound, also for what the viewer may not see.
    """
    viewer.require(Role.OPS)
    person = listing.get_identity(viewer, identity_id)
    return request(viewer, person.account_id, person.ig_participant_id, f"identity {person.id}")


def refresh_all(viewer: Viewer, identity_ids: Sequence[int]) -> int:
    """Have these contacts looked up now, for ops; returns how many: not those who were looked up just now.

    Raises NotFound if the viewer may not see one of them.
    """
    viewer.require(Role.OPS)
    people = [listing.get_identity(viewer, each) for each in identity_ids]
    with transaction.write() as tx:
        asked = [
            person.account_id
            for person in people
            if _request(tx, viewer, person.account_id, person.ig_participant_id, f"identity {person.id}") is None
        ]
    for account_id in sorted(set(asked)):
        queue.enqueue_once(queue.RESOLVE, account_id)
    return len(asked)


def request(viewer: Viewer, account_id: int, ig_participant_id: str, target: str) -> datetime | None:
    """Have a contact looked up now; returns None, or when that was done if it was too recent to repeat.

    `target` names what was clicked on, for the audit log.
    """
    with transaction.write() as tx:
        recent = _request(tx, viewer, account_id, ig_participant_id, target)
    if recent is None:
        queue.enqueue_once(queue.RESOLVE, account_id)
    return recent


def _request(tx: Tx, viewer: Viewer, account_id: int, ig_participant_id: str, target: str) -> datetime | None:
    last = select(Identity.last_success_at, Identity.last_failure_at).where(
        Identity.account_id == account_id, Identity.ig_participant_id == ig_participant_id
    )
    row, now = tx.execute(last).first(), clock.now()
    looked_up_at: datetime | None = max(filter(None, row or ()), default=None)
    if looked_up_at is not None and abs(now - looked_up_at) < COOLDOWN:  # a later time comes from a wrong clock
        return looked_up_at
    observations.request_lookup(tx, account_id, ig_participant_id, at=now, first=looked_up_at is None)
    audit.note(tx, viewer, Action.IDENTITY_REFRESHED, target, account_id=account_id)
    tx.mark_changed(account_id, ig_participant_id)
    return None
