"""The conversation sync as a job: start it, and read one page of conversations after another.

A conversation and its item are stored in one transaction, so that the counts are right however often a page is read
again: after a killed worker, or when Meta's cursor is lost and the reading begins at the first page.
"""

import logging
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any

from sqlalchemy import case, func, insert, select, update

from app import change_tokens, clock
from app.calls import budget, gateway
from app.calls.conversation_reader import SIZES, ConversationReader
from app.db import transaction
from app.db.engine import db
from app.db.transaction import Tx
from app.db.types import digest
from app.errors import Invalid, NotFound, RetryLater
from app.identities.resolve import PAUSE
from app.ingest import pending_updates, sync
from app.ingest.event_handlers import LATE
from app.ingest.sync import MESSAGES, Synced
from app.instagram.errors import GraphAPIError, Reason, Scope
from app.instagram.responses import ConversationListPage, ReadConversation, Skipped
from app.labels import label
from app.models.account import Account
from app.models.call import Purpose
from app.models.conversation import Conversation, Message
from app.models.run import IS_ACTIVE, ItemState, LossCause, Run, RunItem, RunKind, RunScope, RunState
from app.runs import estimate, fencing, leases, lifecycle, page_cursor, selection
from app.runs.fencing import Lease, LeaseLostError
from app.runs.page_cursor import PageCursor
from app.text import plural
from app.tombstones import any_deleted
from app.viewer import Role, Viewer

logger = logging.getLogger(__name__)

KIND = RunKind.SYNC
TITLE = label(KIND)
LISTED_IDS = 100  # of a conversation with more new messages than Meta returns in full
KEPT_IDS = 100  # of skipped elements
CALLS_PAUSED = (Scope.APP, Scope.ACCOUNT, Scope.NETWORK)
_JOB = select(Run.state, Run.scope, Run.since, Run.created_at, Run.most, Run.scanned_pages)


class PageStep(Enum):
    """What follows a page: MORE pages, nothing because the job was STOPPED by a user, or nothing because it ENDED."""

    MORE = auto()
    STOPPED = auto()
    ENDED = auto()


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """What a sync would do if it started now. Times are aware UTC.

    `conversations` are those known, at most as many as it reads; Meta may return more. `seconds` and `done_at` are None
    without Redis. `starts_at` is set while no call can be made.
    """

    conversations: int
    calls: int
    seconds: int | None
    starts_at: datetime | None
    done_at: datetime | None
    active_run: str | None


def get_plan(viewer: Viewer, account_id: int, *, most: int | None = None) -> SyncPlan:
    """Return the plan of a sync; raises as `start` does."""
    _require_valid(viewer, account_id, most)
    known = _count_known(account_id, most)
    calls = _pages(known)
    forecast = budget.forecast(account_id)
    seconds = estimate.estimate_pages(calls, forecast)
    return SyncPlan(
        conversations=known,
        calls=calls,
        seconds=seconds,
        starts_at=forecast.free_at if forecast and forecast.free_at > clock.now() else None,
        done_at=None if seconds is None else clock.now() + timedelta(seconds=seconds),
        active_run=lifecycle.active_run(account_id, KIND),
    )


def plan_text(plan: SyncPlan, at: Callable[[datetime], str]) -> str:
    """Return the sentence about a plan; `at` formats a time."""
    known = f"About {plural(plan.conversations, 'conversation')}" if plan.conversations else "All conversations"
    calls = f"about {plural(plan.calls, 'call')}"
    if plan.done_at is None:
        return f"{known}; {calls}. The duration is unknown: Nametag can’t reach Redis."
    waits = f" The API call budget is used up until {at(plan.starts_at)}." if plan.starts_at else ""
    return f"{known}; done by {at(estimate.minute_up(plan.done_at))} with {calls}.{waits}"


def start(viewer: Viewer, account_id: int | None, *, most: int | None = None) -> str:
    """Start a sync of an account's conversations, newest first, at most `most`; for ops. Return the job's ID.

    Raises AlreadyRunning, Invalid for `most` below 1, and NotFound for an account the viewer may not see.
    """
    viewer.require(Role.OPS)
    account = _require_valid(viewer, account_id, most)
    since = max(account.connected_at, account.covered_until or account.connected_at)
    return begin(viewer, account.id, since=since, most=most, total=_count_known(account.id, most))


def begin(
    viewer: Viewer,
    account_id: int,
    *,
    since: datetime,
    total: int,
    most: int | None = None,
    scope: RunScope = RunScope.ALL,
) -> str:
    """Start a sync that counts messages sent after `since` (aware UTC) as missing if Meta does not return them.

    With RunScope.GAP it reads only conversations with a message since. Raises AlreadyRunning.
    """
    row: dict[str, Any] = {
        "account_id": account_id,
        "kind": KIND,
        "scope": scope,
        "state": RunState.QUEUED,
        "batch_size": SIZES[0],
        "started_by": viewer.name,
        "created_at": clock.now(),
        "total": total,
        "scan_pages": _pages(total),
        "since": since,
        "most": most,
    }
    with lifecycle.starting(viewer, account_id, KIND) as (tx, run_id):
        tx.execute(insert(Run).values(id=run_id, **row))
    lifecycle.enqueue(run_id, KIND, job_id=run_id)
    return run_id


def active_accounts() -> set[int]:
    """Return the IDs of the accounts with an active sync."""
    return set(db.session.scalars(select(Run.account_id).where(Run.kind == KIND, IS_ACTIVE)))


def read_page(lease: Lease) -> tuple[PageStep, int]:
    """Read and store the next page of a job; return what follows, and the calls made.

    The last page ends the job. Raises RetryLater when no call may be made now, and LeaseLostError.
    """
    run = db.session.execute(_JOB.where(Run.id == lease.run_id)).one()
    db.session.rollback()
    if run.state is not RunState.RUNNING:
        return PageStep.STOPPED, 0
    begun = page_cursor.load_cursor(lease.run_id)
    reader = ConversationReader(lease.account_id, Purpose.SYNC, MESSAGES, lease.run_id)
    reader.before_call = lambda: _renew(lease)
    if begun:
        reader.after, reader.size = begun.after, begun.size
    elif run.scanned_pages:
        logger.info("conversation sync restarted: position lost")
        _update(lease, scanned_pages=0)
    read = begun.read if begun else 0
    try:
        page = reader.next(most=None if run.most is None else run.most - read)
        calls = reader.calls + _store(lease, run, page)
    except (GraphAPIError, RetryLater) as failure:
        _update(lease, calls=Run.calls + max(0, reader.calls - isinstance(failure, RetryLater)))
        if isinstance(failure, RetryLater):
            raise
        return _give_up(lease, failure, begun), reader.calls
    read += page.listed
    _count_page(lease, page, calls)
    if page.after is None or (run.most is not None and read >= run.most) or _is_before(page, run):
        _end(lease)
        return PageStep.ENDED, calls
    page_cursor.save_cursor(lease.run_id, PageCursor(page.after, reader.size, read))
    return PageStep.MORE, calls


def _give_up(lease: Lease, failure: GraphAPIError, begun: PageCursor | None) -> PageStep:
    if begun is not None:
        page_cursor.save_cursor(lease.run_id, None)  # it may be too old: begin again at the first page
    if begun is not None or (failure.scope in CALLS_PAUSED and failure.reason is not Reason.PERMISSION):
        raise RetryLater(failure.sentence, failure.retry_at or clock.now() + PAUSE) from None
    with transaction.write() as tx:
        leases.end(tx, lease, failed=f"{failure.sentence}.")
    return PageStep.ENDED


def _store(lease: Lease, run: Any, page: ConversationListPage) -> int:
    """Store the conversations of a page and their items. Return how many calls that took."""
    ig_account_id = db.session.execute(select(Account.ig_account_id).where(Account.id == lease.account_id)).scalar()
    db.session.rollback()
    if ig_account_id is None:
        raise NotFound("account")
    calls = 0
    for thread in page.threads:
        lost = 0
        if _may_lack_older(lease, run, thread):
            calls += 1
            lost = _count_older(lease, run, thread)

        def also(tx: Tx, contact: str, found: int, lost: int = lost) -> None:
            _record(tx, lease, contact, found, Counter([LossCause.OLDER] * lost))

        stored = sync.store_conversation(ig_account_id, thread, also, passed=(LeaseLostError,))
        if stored.skipped:
            _note_unreadable(lease, stored.skipped)
    return calls


def _may_lack_older(lease: Lease, run: Any, thread: ReadConversation) -> bool:
    """Return whether messages before those returned were sent since the last complete sync, and not counted yet."""
    if len(thread.messages) < MESSAGES or thread.messages[-1].sent_at <= _counted_since(run):
        return False
    contacts = [each[0] for each in thread.participants]
    items = select(RunItem.run_id).where(RunItem.run_id == lease.run_id, RunItem.ig_participant_id.in_(contacts))
    known = db.session.execute(items.limit(1)).first() is not None
    db.session.rollback()
    return not known


def _counted_since(run: Any) -> datetime:
    created_at: datetime = run.created_at
    return max(run.since or created_at, created_at - LATE)


def _count_older(lease: Lease, run: Any, thread: ReadConversation) -> int:
    """Count the messages before those returned that were sent meanwhile and are not stored: Meta has their IDs only."""
    _renew(lease)
    try:
        listed = gateway.message_ids(
            lease.account_id, thread.ig_conversation_id, purpose=Purpose.SYNC, limit=LISTED_IDS, run_id=lease.run_id
        )
    except GraphAPIError as failure:
        if failure.scope in CALLS_PAUSED:
            raise
        return 0
    given, since = {message.mid for message in thread.messages}, _counted_since(run)
    older = {digest(mid) for mid, at in listed.messages if mid not in given and since < at <= run.created_at}
    with transaction.write() as tx:
        of_account = (Message.account_id == lease.account_id, Message.mid_digest.in_(older))
        missing = older - set(tx.execute(select(Message.mid_digest).where(*of_account)).scalars())
        return sum(not any_deleted(tx, lease.account_id, [each]) for each in missing)


def _record(tx: Tx, lease: Lease, contact: str, found: int, lost: Counter[LossCause]) -> None:
    """Add what was read of a conversation to the job, once however often it is read."""
    tx.mark_changed(lease.account_id, change_tokens.NO_CONTACT)
    renewed = {"lease_until": clock.now() + fencing.LEASE}
    fencing.update_run(tx, lease, found=Run.found + found, **renewed)
    stored = select(Conversation.id).where(Conversation.is_contact(lease.account_id, contact))
    if tx.execute(stored).first() is None:
        return  # of a deleted contact
    item = RunItem.is_item(lease.run_id, contact)
    known = tx.execute(select(RunItem.state).where(item)).first()
    if known is None:
        state = ItemState.RESOLVED if found else ItemState.FRESH
        position = tx.execute(select(Run.resolved + Run.fresh + 1).where(Run.id == lease.run_id)).scalar_one()
        row = {
            **{"run_id": lease.run_id, "ig_participant_id": contact, "position": position, "state": state},
            **{"found": found, "lost": dict(lost) or None, "settled_at": clock.now()},
        }
        tx.execute(insert(RunItem).values(row))
        counter = Run.resolved if found else Run.fresh
        fencing.update_run(tx, lease, **{counter.key: counter + 1})
    elif found:
        changed = {"found": RunItem.found + found, "state": ItemState.RESOLVED, "settled_at": clock.now()}
        tx.execute(update(RunItem).where(item).values(**changed))
        if known.state is ItemState.FRESH:
            fencing.update_run(tx, lease, resolved=Run.resolved + 1, fresh=Run.fresh - 1)


def _count_page(lease: Lease, page: ConversationListPage, calls: int) -> None:
    if page.skipped:
        _note_unreadable(lease, page.skipped)
    done = Run.resolved + Run.fresh + int(page.after is not None)
    _update(
        lease,
        scanned_pages=Run.scanned_pages + 1,
        calls=Run.calls + calls,
        total=case((Run.total < done, done), else_=Run.total),
    )


def _note_unreadable(lease: Lease, skipped: Any) -> None:
    ids = [each.id or each.conversation or "?" for each in skipped]
    with transaction.write() as tx:
        known = tx.execute(select(Run.unreadable).where(Run.id == lease.run_id).with_for_update()).scalar_one() or []
        fencing.update_run(tx, lease, unreadable=list(dict.fromkeys([*known, *ids]))[:KEPT_IDS])


def _is_before(page: ConversationListPage, run: Any) -> bool:
    """Return whether no conversation of a page, and so of later ones, has a message from the gap."""
    if run.scope is not RunScope.GAP or run.since is None:
        return False
    newest = [thread.messages[0].sent_at for thread in page.threads if thread.messages]
    return bool(newest) and max(newest) < run.since.replace(microsecond=0)  # Meta's times are whole seconds


def _end(lease: Lease) -> None:
    with transaction.write() as tx:
        run = tx.execute(select(Run).where(Run.id == lease.run_id)).one()
        lost = _lost(tx, run)
        read = run.resolved + run.fresh
        fencing.update_run(tx, lease, total=read, lost=dict(lost), scan_pages=run.scanned_pages)
        skipped = [Skipped("element", each, None, "") for each in run.unreadable or ()]
        synced = Synced(read, run.found, calls=run.calls, skipped=skipped)
        sync.report(tx, run.account_id, synced, covered_until=run.created_at if run.most is None else None)
        leases.end(tx, lease)
    page_cursor.save_cursor(lease.run_id, None)


def _lost(tx: Tx, run: Any) -> Counter[str]:
    lost: Counter[str] = Counter()
    counted = select(RunItem.lost).where(RunItem.run_id == run.id, RunItem.lost.is_not(None))
    for each in tx.execute(counted).scalars():
        lost.update(each)
    lost[LossCause.UNSENT] += pending_updates.count_unsent(tx, run.account_id, since=_counted_since(run))
    lost[LossCause.UNREADABLE] += len(run.unreadable or ())
    return +lost


def _renew(lease: Lease) -> None:
    _update(lease, lease_until=clock.now() + fencing.LEASE)


def _update(lease: Lease, **values: Any) -> None:
    with transaction.write() as tx:
        fencing.update_run(tx, lease, **values)


def _pages(conversations: int) -> int:
    return max(1, math.ceil(conversations / SIZES[0]))


def _count_known(account_id: int, most: int | None) -> int:
    counted = select(func.count()).select_from(Conversation).where(Conversation.account_id == account_id)
    known = db.session.execute(counted).scalar_one()
    return known if most is None else min(known, most)


def _require_valid(viewer: Viewer, account_id: int | None, most: int | None) -> Account:
    account = selection.require_account(viewer, account_id)
    if most is not None and most < 1:
        raise Invalid({"limit": "The limit must be 1 or more."})
    return account
