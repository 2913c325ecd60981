"""A conversation is opened: who is stale is shown at once and refreshed behind, before all others."""

from sqlalchemy import select

from app import clock, queue
from app.db import transaction
from app.db.engine import db
from app.identities import observations, resolve
from app.models.identity import Identity


def hint(identity_id: int) -> None:
    """Have the person of a conversation that somebody opens refreshed if they are stale. Reads a row, changes none."""
    stale = select(Identity.id).where(Identity.id == identity_id, *observations.stale(clock.now()))
    if db.session.execute(stale).first() is not None:
        queue.enqueue_once(queue.OPENED, identity_id)


def refresh(identity_id: int) -> None:
    """Look a stale person up whose conversation was opened, then whoever else is due; nothing for who is fresh."""
    with transaction.write() as tx:
        account_id = observations.refresh_on_open(tx, identity_id, at=clock.now())
    if account_id is not None:
        resolve.look_up_due(account_id)
