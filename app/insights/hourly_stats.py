"""Hourly snapshots per account for Insights: contacts by how they are shown, messages, lookups, service levels.

Written by the scheduler, so that webhook deliveries do not wait for it. The only writer of `hourly_stats`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import case, delete, func, select, update

from app import change_tokens, clock
from app.calls import budget
from app.db import transaction
from app.db.engine import db
from app.db.planning import planned_for_values
from app.db.transaction import Tx
from app.insights import service_levels
from app.models.account import Account
from app.models.call import ApiCall, Purpose
from app.models.conversation import Conversation, Message
from app.models.identity import Identity
from app.models.stats import HourlyStats

HOUR = timedelta(hours=1)
KEPT = timedelta(days=31)
COUNTED_NOW = 10_000  # contacts of an account that are counted for each page, which takes milliseconds
CURRENT = timedelta(hours=2)  # a snapshot of an earlier hour says nothing about now: the scheduler does not run


@dataclass(frozen=True, slots=True)
class ContactCounts:
    """Numbers of contacts by how they are shown: with their username, their name, or their short ID."""

    username: int
    name: int
    short_id: int

    @property
    def total(self) -> int:
        """All contacts."""
        return self.username + self.name + self.short_id


# Of this process, with the change token before the count: contacts of an unchanged account are not counted again.
_counted: dict[int, tuple[str, ContactCounts]] = {}


def record() -> None:
    """Store the snapshot of the current hour of every account, and complete that of the hour before."""
    this_hour = clock.now().replace(minute=0, second=0, microsecond=0)
    for account_id in list(db.session.scalars(select(Account.id))):
        found = [(at, _traffic(account_id, at)) for at in (this_hour - HOUR, this_hour)]
        contacts = _recount_if_changed(account_id)
        naming = service_levels.count(account_id)
        db.session.rollback()
        with transaction.write() as tx:
            if not _exists(tx, account_id):
                continue
            for at, traffic in found:
                current = asdict(contacts) | {"naming": naming} if at == this_hour else None
                _store(tx, account_id, at, traffic, current=current)


def current_contacts(account_ids: Sequence[int]) -> ContactCounts:
    """Return the contacts of all accounts together: counted now, of a large account as the newest snapshot says.

    That is a few minutes old: counting a million contacts takes a tenth of a second.
    """
    snapshots = {row.account_id: ContactCounts(row.username, row.name, row.short_id) for row in _snapshots(account_ids)}
    large = {account_id: found for account_id, found in snapshots.items() if found.total > COUNTED_NOW}
    each = [large.get(account_id) or count_contacts(account_id) for account_id in account_ids]
    return ContactCounts(
        sum(one.username for one in each), sum(one.name for one in each), sum(one.short_id for one in each)
    )


def newest_naming(account_ids: Sequence[int]) -> Mapping[int, service_levels.Counts]:
    """Return the counts of service levels of each account that has a snapshot of the last two hours with them."""
    return {row.account_id: row.naming for row in _snapshots(account_ids) if row.naming}


def count_contacts(account_id: int) -> ContactCounts:
    """Count the contacts of an account now."""
    name_only = Identity.username.is_(None) & Identity.has_name
    counted = select(
        func.count(Identity.username), func.count(case((name_only, 1))), func.count(case((~Identity.has_name, 1)))
    )
    return ContactCounts(*db.session.execute(counted.where(Identity.account_id == account_id)).one())


def purge(tx: Tx, now: datetime) -> None:
    """Delete snapshots that are older than 31 days."""
    tx.execute(delete(HourlyStats).where(HourlyStats.at < now - KEPT))


def _snapshots(account_ids: Sequence[int]) -> Sequence[Any]:
    """Return the snapshots of the last two hours of these accounts, the newest last."""
    columns = (HourlyStats.username, HourlyStats.name, HourlyStats.short_id, HourlyStats.naming)
    found = select(HourlyStats.account_id, *columns).where(
        HourlyStats.account_id.in_(account_ids), HourlyStats.at > clock.now() - CURRENT
    )
    return db.session.execute(found.order_by(HourlyStats.at)).all()


def _exists(tx: Tx, account_id: int) -> bool:
    """Return whether the account exists, and lock its row until the transaction ends."""
    account = select(Account.id).where(Account.id == account_id)
    return tx.execute(account.with_for_update(read=True, key_share=True)).first() is not None


def _recount_if_changed(account_id: int) -> ContactCounts:
    db.session.rollback()  # the count must not be older than the change token
    version = change_tokens.current(account_id)
    version_before, contacts = _counted.get(account_id, (None, None))
    if contacts is None or version is None or version != version_before:
        contacts = count_contacts(account_id)
    if version is not None:
        _counted[account_id] = version, contacts
    return contacts


@planned_for_values()
def _traffic(account_id: int, at: datetime) -> dict[str, int]:
    # Through conversations that were active since: only their index has an account and a time.
    received = (
        select(func.count())
        .select_from(Conversation)
        .join(Message, Message.conversation_id == Conversation.id)
        .where(
            *(Conversation.account_id == account_id, Conversation.last_message_at >= at),
            *(Message.sent_at >= at, Message.sent_at < at + HOUR, Message.outgoing.is_(False)),
        )
    )
    looked_up = select(func.count()).where(
        *(ApiCall.account_id == account_id, ApiCall.at >= at, ApiCall.at < at + HOUR),
        *(ApiCall.call == budget.PROFILE, ApiCall.purpose == Purpose.LIVE),
    )
    return {
        "messages": db.session.execute(received).scalar_one(),
        "lookups": db.session.execute(looked_up).scalar_one(),
    }


def _store(tx: Tx, account_id: int, at: datetime, traffic: dict[str, int], *, current: dict[str, Any] | None) -> None:
    hour: dict[str, Any] = {"account_id": account_id, "at": at}
    if current is None:
        known = (HourlyStats.account_id == account_id, HourlyStats.at == at)
        tx.execute(update(HourlyStats).where(*known).values(traffic))
        return
    figures = current | traffic
    row = tx.insert(HourlyStats).values(hour | figures)
    tx.execute(row.on_conflict_do_update(index_elements=["account_id", "at"], set_=figures))
