"""Notice gaps, let a conversation sync read each one once webhooks arrive again, and report what it fetched."""

import logging
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, func, select, update

from app import clock, gaps
from app.accounts import subscriptions
from app.db import transaction
from app.db.engine import db
from app.db.transaction import Tx
from app.errors import AlreadyRunning
from app.findings import SILENT
from app.models.account import Account, AccountState
from app.models.conversation import Conversation, Message
from app.models.gap import UNCLOSED, Gap, GapCause, GapState
from app.models.process import StoredFinding
from app.models.run import ACTIVE, Run, RunScope, RunState
from app.runs import sync_job
from app.viewer import SCHEDULE

logger = logging.getLogger(__name__)

KEPT = timedelta(days=90)


def advance() -> None:
    """Open and end gaps, start the syncs of ended ones, and report those that were read; for the scheduler."""
    _watch()
    unclosed = select(Gap.id, Gap.account_id, Gap.began_at, Gap.ended_at, Gap.state, Gap.run_id)
    unclosed = unclosed.where(Gap.state.in_(UNCLOSED), Gap.ended_at.is_not(None)).order_by(Gap.id)
    found = db.session.execute(unclosed).all()
    db.session.rollback()
    for gap in found:
        if gap.state is GapState.OPEN:
            _read(gap)
        else:
            _close(gap)


def purge() -> int:
    """Delete gaps that were closed more than 90 days ago. Return their number."""
    with transaction.write() as tx:
        return gaps.purge(tx, clock.now() - KEPT)


def _watch() -> None:
    lasting = select(Gap.account_id).where(Gap.state.in_(UNCLOSED), Gap.ended_at.is_(None))
    open_: dict[int, set[str]] = {}
    for account_id, causes in db.session.execute(lasting.add_columns(Gap.causes)):
        open_.setdefault(account_id, set()).update(causes)
    silent = set(db.session.scalars(select(StoredFinding.account_id).where(StoredFinding.key == SILENT)))
    subscription = (Account.login, Account.missing_subscriptions, Account.refused_subscriptions)
    columns = (Account.id, Account.state, *subscription, Account.subscription_problem)
    found = select(*columns).where(Account.state != AccountState.DELETING)
    accounts = db.session.execute(found.order_by(Account.id)).all()
    db.session.rollback()
    for account in accounts:
        causes = _causes(account, is_silent=account.id in silent)
        known = open_.get(account.id)
        if set(causes) - (known or set()):
            _open(account.id, causes)
        elif not causes and known:
            with transaction.write() as tx:
                gaps.end(tx, account.id, at=clock.now())


def _causes(account: Any, *, is_silent: bool) -> list[GapCause]:
    found = (
        (account.state is AccountState.RECONNECT, GapCause.RECONNECT),
        (not subscriptions.stored_subscription(account).delivers_messages, GapCause.SUBSCRIPTION),
        (is_silent, GapCause.SILENCE),
    )
    return [cause for present, cause in found if present]


def _open(account_id: int, causes: list[GapCause]) -> None:
    with transaction.write() as tx:
        last_webhook = tx.execute(select(Account.last_webhook_at).where(Account.id == account_id)).scalar()
        for cause in causes:
            # Hourly syncs during a silence are complete, and yet no webhook arrives.
            silent_since = last_webhook if cause is GapCause.SILENCE else None
            gaps.record(tx, account_id, cause, began_at=silent_since or gaps.mark(tx, account_id))


def _read(gap: Any) -> None:
    state = db.session.execute(select(Account.state).where(Account.id == gap.account_id)).scalar()
    total = _count_active(gap)
    db.session.rollback()
    if state is not AccountState.CONNECTED:
        return
    try:
        run_id = sync_job.begin(SCHEDULE, gap.account_id, since=gap.began_at, total=total, scope=RunScope.GAP)
    except AlreadyRunning:
        return  # it may have begun before the gap ended
    with transaction.write() as tx:
        opened = update(Gap).where(Gap.id == gap.id, Gap.state == GapState.OPEN, Gap.ended_at == gap.ended_at)
        tx.execute(opened.values(state=GapState.READING, run_id=run_id))


def _count_active(gap: Any) -> int:
    """Estimate the conversations with messages in a gap: as many as in the time before it, of the same length."""
    since = gap.began_at - (gap.ended_at - gap.began_at)
    counted = select(func.count()).select_from(Conversation).where(Conversation.account_id == gap.account_id)
    return db.session.execute(counted.where(Conversation.last_message_at >= since)).scalar_one()


def _close(gap: Any) -> None:
    run = db.session.execute(select(Run.state, Run.lost).where(Run.id == gap.run_id)).first()
    db.session.rollback()
    if run is not None and run.state in ACTIVE:
        return
    with transaction.write() as tx:
        done = run is not None and run.state is RunState.DONE
        lost = (run.lost if run is not None else None) or {}
        state = GapState.GIVEN_UP if not done else GapState.CLOSED_WITH_LOSSES if lost else GapState.CLOSED
        values = _fetched(tx, gap.account_id, gap.began_at, gap.ended_at)
        values |= {"state": state, "lost": lost, "closed_at": clock.now()}
        reading = update(Gap).where(Gap.id == gap.id, Gap.state == GapState.READING)
        tx.execute(reading.values(**values))
        tx.mark_changed(gap.account_id)
    logger.info("gap closed", extra={"account": gap.account_id, "state": state.value, "found": values["found"]})


def _fetched(tx: Tx, account_id: int, began_at: datetime, ended_at: datetime) -> dict[str, Any]:
    """Count the messages of a gap that only a sync brought, the hourly one included."""
    is_history = and_(Message.outgoing.is_(False), Message.arrival.is_(None))
    counted = select(
        func.count().label("found"),
        func.count(Message.conversation_id.distinct()).label("conversations"),
        func.count().filter(is_history).label("history"),
    )
    since = began_at.replace(microsecond=0)  # synced messages have whole seconds
    # Through conversations that were active since: only their index has an account and a time.
    counted = counted.select_from(Conversation).join(Message, Message.conversation_id == Conversation.id)
    counted = counted.where(Conversation.account_id == account_id, Conversation.last_message_at >= since)
    of_gap = (Message.sent_at >= since, Message.sent_at <= ended_at, Message.from_sync)
    return dict(tx.execute(counted.where(*of_gap)).one()._mapping)
