"""Refresh the stale contact of an opened conversation in the background, before all others."""

from sqlalchemy import select

from app import clock, queue
from app.db import transaction
from app.db.engine import db
from app.identities import observations, resolve
from app.models.identity import Identity


def enqueue_refresh(identity_id: int) -> None:
    """Enqueue a refresh of the contact of an opened conversation if it is stale. Reads one row, changes none."""
    stale = select(Identity.id).where(Identity.id == identity_id, *observations.stale(clock.now()))
    if db.session.execute(stale).first() is not None:
        queue.enqueue_once(queue.OPENED, identity_id)


def refresh(identity_id: int) -> None:
    """Look up the stale contact of an opened conversation, then other due contacts of the account.

    Does nothing for a fresh contact.
    """
    with transaction.write() as tx:
        account_id = observations.refresh_on_open(tx, identity_id, at=clock.now())
    if account_id is not None:
        resolve.look_up_due(account_id)
