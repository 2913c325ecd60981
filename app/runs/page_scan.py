"""Resolve many contacts per call: read conversation pages before contacts are looked up one by one.

A page returns up to 50 usernames with one call, a profile one. The plan of the job says how many pages save calls.
"""

import logging
from collections.abc import Iterator

from sqlalchemy import Row, select

from app import clock
from app.calls.conversation_reader import SIZES, ConversationReader
from app.db import transaction
from app.db.engine import db
from app.errors import CallsRefused, RetryLater
from app.identities import observations
from app.identities.observations import ProfileObservation
from app.identities.resolve import PAUSE
from app.instagram.errors import GraphAPIError, Reason, Scope
from app.instagram.responses import ConversationListPage
from app.models.call import Purpose
from app.models.identity import Identity, Source
from app.models.run import ItemState, Run, RunItem, RunState
from app.runs import fencing, items, page_cursor, selection
from app.runs.fencing import Lease
from app.runs.items import ItemOutcome
from app.runs.page_cursor import PageCursor
from app.text import real_name

logger = logging.getLogger(__name__)

LOCK_FREE_SECONDS = 0.002  # lets a webhook that waits for SQLite's lock in between two transactions
CONTACTS_PER_TRANSACTION = 3  # webhooks wait for it, and must be answered within 50 ms
_RESOLVED = ItemOutcome(ItemState.RESOLVED)
_PLAN = select(Run.scan_pages, Run.scanned_pages, Run.scan_contacts, Run.state)


def next_page(lease: Lease, *, purpose: Purpose) -> int:
    """Read the next conversation page of a job, and settle the items it resolves. Return the calls made, 0 at the end.

    That is also once the job is paused or canceled. Without a stored position the scan starts again at the first page,
    as deep as that still saves calls. Raises RetryLater when no call may be made now, and LeaseLostError.
    """
    run = db.session.execute(_PLAN.where(Run.id == lease.run_id)).one()
    left = run.scan_pages - run.scanned_pages if run.state is RunState.RUNNING else 0
    begun = page_cursor.load_cursor(lease.run_id)
    if left > 0 and run.scanned_pages and begun is None:
        left = _replan(lease, run)
    if left <= 0:
        return 0
    reader = ConversationReader(lease.account_id, purpose, run_id=lease.run_id)
    if begun:
        reader.after, reader.size = begun.after, begun.size
    try:
        page = reader.next()
    except CallsRefused:
        _record_progress(lease, pages=left, calls=0, following=None)
        return reader.calls
    except GraphAPIError as failure:
        if failure.scope in (Scope.APP, Scope.ACCOUNT) and failure.reason is not Reason.PERMISSION:
            raise RetryLater(failure.sentence, failure.retry_at or clock.now() + PAUSE) from None
        # Pages cannot be read, or the cursor is gone: the other contacts are looked up one by one.
        logger.info("page scan ended early", extra={"code": failure.code})
        _record_progress(lease, pages=left, calls=reader.calls, following=None)
        return reader.calls
    if page.skipped:
        skipped = [each.conversation for each in page.skipped]
        logger.warning("elements of conversations skipped", extra={"account": lease.account_id, "ids": skipped})
    _store_page(lease, list(_observations(lease.account_id, page)))
    following, pages = _next_position(reader, page, begun)
    _record_progress(lease, pages=pages if following else left, calls=reader.calls, following=following)
    return reader.calls


def _next_position(
    reader: ConversationReader, page: ConversationListPage, begun: PageCursor | None
) -> tuple[PageCursor | None, int]:
    """Return the position of the next page, and the full-size pages read: smaller ones add up to one."""
    if page.after is None:
        return None, 0
    whole = reader.calls == 1 and (begun is None or begun.size == SIZES[0])
    read = (begun.read if begun else 0) + page.listed
    if whole or read >= SIZES[0]:
        return PageCursor(page.after, reader.size), 1
    return PageCursor(page.after, reader.size, read), 0


def _replan(lease: Lease, run: Row[int, int, int, RunState]) -> int:
    again = selection.replan_page_scan(lease.run_id, lease.account_id)
    read = run.scan_contacts * run.scanned_pages // run.scan_pages
    with transaction.write() as tx:
        fencing.update_run(tx, lease, scan_pages=run.scanned_pages + again.pages, scan_contacts=read + again.people)
    logger.info("page scan restarted: position lost", extra={"pages": again.pages})
    return again.pages


def _observations(account_id: int, page: ConversationListPage) -> Iterator[ProfileObservation]:
    own_ids = selection.own_ids(account_id)
    for thread in page.threads:
        others = [each for each in thread.participants if each[0] not in own_ids]
        username = real_name(others[0][1]) if len(others) == 1 else None
        if username:
            yield ProfileObservation(others[0][0], username, None, None, Source.CONVERSATIONS, clock.now())


def _store_page(lease: Lease, seen: list[ProfileObservation]) -> None:
    listed = [each.ig_participant_id for each in seen]
    known = select(Identity.ig_participant_id).where(Identity.is_one_of(lease.account_id, listed))
    wanted = select(RunItem.ig_participant_id).where(
        RunItem.run_id == lease.run_id,
        RunItem.state == ItemState.PENDING,
        RunItem.ig_participant_id.in_(listed),
        ~selection.has_expired_picture(lease.account_id, RunItem.ig_participant_id),
    )
    stored, open_ = set(db.session.scalars(known)), set(db.session.scalars(wanted))
    of_contacts = [each for each in seen if each.ig_participant_id in stored | open_]
    for begin in range(0, len(of_contacts), CONTACTS_PER_TRANSACTION):
        _store_batch(lease, of_contacts[begin : begin + CONTACTS_PER_TRANSACTION], open_)
        clock.sleep(LOCK_FREE_SECONDS)


def _store_batch(lease: Lease, seen: list[ProfileObservation], open_: set[str]) -> None:
    resolved = [each.ig_participant_id for each in seen if each.ig_participant_id in open_]
    with transaction.write() as tx:
        for each in seen:
            observations.record(tx, lease.account_id, each)
        for ig_participant_id in resolved:
            items.settle(tx, lease, ig_participant_id, _RESOLVED)
        fencing.update_run(tx, lease, scanned_contacts=Run.scanned_contacts + len(resolved))


def _record_progress(lease: Lease, *, pages: int, calls: int, following: PageCursor | None) -> None:
    with transaction.write() as tx:
        fencing.update_run(
            tx,
            lease,
            scanned_pages=Run.scanned_pages + pages,
            calls=Run.calls + calls,
            lease_until=clock.now() + fencing.LEASE,
        )
    page_cursor.save_cursor(lease.run_id, following)
