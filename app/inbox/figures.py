"""What no other row remembers, noted once an hour and account: how people were shown, and how many messages came.

Counted beside the traffic by the scheduler, so that nobody who writes waits for it.
"""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import case, delete, func, select, update

from app import clock
from app.calls import budget
from app.db import transaction
from app.db.engine import db
from app.db.transaction import Tx
from app.models.identity import HourFigures, Identity, Lookup, Purpose
from app.models.inbox import Account, Conversation, Message

HOUR = timedelta(hours=1)
KEPT = timedelta(days=31)


def note() -> None:
    """Write down how every account stands in this hour, and complete what the hour before came to."""
    this = clock.now().replace(minute=0, second=0, microsecond=0)
    for account_id in list(db.session.scalars(select(Account.id))):
        found = [(at, _traffic(account_id, at)) for at in (this - HOUR, this)]
        shown = _shown(account_id)
        db.session.rollback()
        with transaction.write() as tx:
            for at, traffic in found:
                _keep(tx, account_id, at, traffic, shown=shown if at == this else None)


def purge(tx: Tx, now: datetime) -> None:
    """Forget what is older than a month."""
    tx.execute(delete(HourFigures).where(HourFigures.at < now - KEPT))


def _shown(account_id: int) -> dict[str, int]:
    named = Identity.username.is_(None) & Identity.name.is_not(None)
    nameless = Identity.username.is_(None) & Identity.name.is_(None)
    counted = select(
        func.count(Identity.username).label("username"),
        func.count(case((named, 1))).label("name"),
        func.count(case((nameless, 1))).label("short_id"),
    )
    row = db.session.execute(counted.where(Identity.account_id == account_id)).one()
    return dict(row._mapping)


def _traffic(account_id: int, at: datetime) -> dict[str, int]:
    # By the conversations that were active since: their index is the only one that knows an account's hours.
    came = (
        select(func.count())
        .select_from(Conversation)
        .join(Message, Message.conversation_id == Conversation.id)
        .where(
            *(Conversation.account_id == account_id, Conversation.last_message_at >= at),
            *(Message.sent_at >= at, Message.sent_at < at + HOUR, Message.outgoing.is_(False)),
        )
    )
    asked = select(func.count()).where(
        *(Lookup.account_id == account_id, Lookup.at >= at, Lookup.at < at + HOUR),
        *(Lookup.call == budget.PROFILE, Lookup.purpose == Purpose.LIVE),
    )
    return {"messages": db.session.execute(came).scalar_one(), "lookups": db.session.execute(asked).scalar_one()}


def _keep(tx: Tx, account_id: int, at: datetime, traffic: dict[str, int], *, shown: dict[str, int] | None) -> None:
    hour: dict[str, Any] = {"account_id": account_id, "at": at}
    if shown is None:
        known = (HourFigures.account_id == account_id, HourFigures.at == at)
        tx.execute(update(HourFigures).where(*known).values(traffic))
        return
    row = tx.insert(HourFigures).values(hour | shown | traffic)
    tx.execute(row.on_conflict_do_update(index_elements=["account_id", "at"], set_=shown | traffic))
