"""How many messages of contacts arrived each day, and how many only the conversation sync brought.

Written by the scheduler, so that webhook deliveries do not wait for it. The only writer of `daily_arrivals`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select

from app import clock
from app.db import transaction
from app.db.engine import db
from app.db.planning import planned_for_values
from app.db.transaction import Tx
from app.models.account import Account
from app.models.conversation import Conversation, Message
from app.models.stats import DailyArrivals
from app.viewer import Viewer

DAY = timedelta(days=1)
COUNTED = timedelta(days=30)
RECOUNTED = 8  # days: what arrives later is history, and does not count


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Messages of contacts in 30 days: all, and those that only the conversation sync brought."""

    received: int
    synced: int

    @property
    def percent(self) -> str:
        """The share of messages that only the sync brought, with two decimals: 0.17%."""
        return f"{100 * self.synced / self.received:.2f}%"


def record() -> None:
    """Count the messages of the last 8 days again: a sync may have brought late ones. For the scheduler."""
    today = clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
    for account_id in list(db.session.scalars(select(Account.id))):
        found = {day: _count(account_id, day) for day in (today - place * DAY for place in range(RECOUNTED))}
        db.session.rollback()
        with transaction.write() as tx:
            if tx.execute(select(Account.id).where(Account.id == account_id)).first() is not None:
                for day, counted in found.items():
                    _store(tx, account_id, day, counted)


def by_account(viewer: Viewer) -> Mapping[int, Arrivals]:
    """Return the messages of the last 30 days of each account that the viewer may see and that received any."""
    sums = func.sum(DailyArrivals.received).label("received"), func.sum(DailyArrivals.synced).label("synced")
    found = select(DailyArrivals.account_id, *sums).where(DailyArrivals.day > clock.now() - COUNTED)
    rows = db.session.execute(viewer.visible(found.group_by(DailyArrivals.account_id), DailyArrivals.account_id))
    return {row.account_id: Arrivals(int(row.received), int(row.synced)) for row in rows if row.received}


def purge(tx: Tx, now: datetime) -> None:
    """Delete counts that are older than 31 days."""
    tx.execute(delete(DailyArrivals).where(DailyArrivals.day < now - COUNTED - DAY))


@planned_for_values()
def _count(account_id: int, day: datetime) -> dict[str, int]:
    # Through conversations that were active since: only their index has an account and a time.
    found = (
        select(func.count().label("received"), func.count().filter(Message.from_sync).label("synced"))
        .select_from(Conversation)
        .join(Message, Message.conversation_id == Conversation.id)
        .where(
            *(Conversation.account_id == account_id, Conversation.last_message_at >= day),
            *(Message.sent_at >= day, Message.sent_at < day + DAY, Message.arrival.is_not(None)),
        )
    )
    row = db.session.execute(found).one()
    return {"received": row.received, "synced": row.synced}


def _store(tx: Tx, account_id: int, day: datetime, counted: dict[str, int]) -> None:
    row = tx.insert(DailyArrivals).values(account_id=account_id, day=day, **counted)
    tx.execute(row.on_conflict_do_update(index_elements=["account_id", "day"], set_=counted))
