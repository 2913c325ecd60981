"""Logged calls, and the explanation that a contact's page shows of them."""

from sqlalchemy import select

from app import clock
from app.db import transaction
from app.db.engine import db
from app.identities import explanation
from app.models.account import Account
from app.models.call import ApiCall, Purpose
from app.models.identity import Identity
from app.viewer import OPERATOR


def explain(account: Account, who: str) -> explanation.Explanation:
    """Return the explanation of a contact's name."""
    db.session.rollback()
    identity = select(Identity.id).where(Identity.is_contact(account.id, who))
    return explanation.explain(OPERATOR, db.session.scalars(identity).one())


def log_call(account: Account, who: str, **answer: object) -> None:
    """Store the call log's row of a profile lookup."""
    with transaction.write() as tx:
        call = {"account_id": account.id, "call": "profile", "purpose": Purpose.BACKFILL, "ig_participant_id": who}
        tx.execute(tx.insert(ApiCall).values(at=clock.now(), **call, **answer))
