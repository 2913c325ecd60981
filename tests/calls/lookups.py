"""Rows of earlier calls, from which the budget is counted."""

from datetime import timedelta

from sqlalchemy import select

from app import clock
from app.db import transaction
from app.db.engine import db
from app.models.call import ApiCall, Purpose
from tests.factories import MAISON_LUNE
from tests.support.processes import Sandbox


def made(account_id: int, count: int, *, ago_seconds: float = 60, call: str = "profile", purpose: Purpose) -> None:
    """Store `count` calls of an account that were made `ago_seconds` ago."""
    at = clock.now() - timedelta(seconds=ago_seconds)
    with transaction.write() as tx:
        for _ in range(count):
            tx.execute(tx.insert(ApiCall).values(account_id=account_id, call=call, purpose=purpose, at=at))


def noted() -> list[ApiCall]:
    """Return every row of a call, oldest first."""
    db.session.rollback()
    return list(db.session.scalars(select(ApiCall).order_by(ApiCall.id)))


def contacts(meta: Sandbox, number: int, account: str = MAISON_LUNE) -> list[str]:
    """Return contacts of the sandbox whose profile has a username."""
    everyone = [each for each in meta.get("people") if each["account"] == account and not each["error"]]
    return [each["id"] for each in everyone if each["username"] and "UNKNOWN" not in each["username"]][:number]
