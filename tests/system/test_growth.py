"""A page, poll or list of the API reads no more rows in a large account than in a small one."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from flask import Flask
from sqlalchemy import event, text

from app import metrics, queue, search_index
from app.accounts import health
from app.db.engine import db, is_sqlite
from app.identities import contact_search, listing
from app.insights import charts, hourly_stats
from app.runs import plan, selection
from app.users import users
from app.users.api_tokens import TokenScope
from app.viewer import OPERATOR, Role
from app.web.rendering import API_PATHS
from tests.api.clients import an_api_client
from tests.factories import an_account
from tests.support.large_account import LargeAccount
from tests.support.waiting import until
from tests.web import addresses
from tests.web.browsing import HTMX, signed_in

SMALL, LARGE = 13_000, 26_000  # contacts: PostgreSQL searches the newest 8,192 to 12,288 first
LIMIT = 1_000  # of what a page counts or compares at most, so that few contacts are enough
LIMITED = (
    *(
        (listing, "COUNTED"),
        (hourly_stats, "COUNTED_NOW"),
        (metrics, "MOST_REPLIES"),
        (plan, "SAMPLE"),
        (plan, "MOST_RANKED"),
    ),
    *((health, "MOST_MESSAGES"), (charts, "MAX_CALLS"), (search_index, "SCANNED"), (selection, "MOST_CONTACTS")),
)
GROWTH = 1.25  # of an index, which becomes deeper
GROWTH_WITHOUT_A_WORD = 1.6  # "...": PostgreSQL compares the newest 8,192 to 12,288 rows
FEW = 60  # rows, or hundreds of steps: noise of small pages
STEPS = 100  # of SQLite's virtual machine
PAGES = (
    *(f"/inbox/list?filter={each}" for each in ("unread", "unknown", "needs_reply")),
    *(f"/inbox/list?q={each}" for each in ("anna", "thank", "anna.5000", "from:anna", "is:unread", "...", "zzzz")),
    *(f"/inbox/list?q={each}" for each in ("kind:text", "-thank", "on:today", "before:today", "is:unknown thank")),
    *(f"/identities?state={each}" for each in ("known", "stale", "unknown")),
    *(f"/identities?reason={each}" for each in ("never_tried", "stopped", "not_visible")),
    *(f"/identities?q={each}" for each in ("anna", "anna.5000", "nna", "...", "zzzz")),
    *("/palette?q=anna", "/jobs/new?kind=refresh", "/audit?action=signed_in", "/inbox/notices?since=1"),
)
LISTS = (
    *(f"/api/identities?state={each}" for each in ("known", "stale", "unknown")),
    *(f"/api/identities?q={each}" for each in ("anna", "zzzz")),
    *(f"/messaging/conversations?{each}=true" for each in ("unread", "unknown", "needsReply")),
    *(f"/messaging/conversations?q={each}" for each in ("anna", "thank", "zzzz")),
)
PARTS = ("/inbox/list", "/jobs/live", "/jobs/history", "/jobs/unresolved", "/jobs/plans")
GROWING = (
    *("/identities/export", "/api/identities/export", "/items.csv"),  # files with all rows, which are streamed
    *("/data", "/identities/100000/export"),  # of one contact: looked for in all jobs and dead letters
    *("/dead-letters", "?reason=unknown_account"),  # counted exactly, and deleted after 30 days
    # The newest deliveries of each receiver, deleted after 30 days.
    *("/alerts/receivers", "/alerts/receivers/1", "/api/alert-receivers"),
    "/accounts",  # the newest gaps of each, deleted after months
    *("/jobs", "/jobs/plans", "?job=000000000000", "/jobs?account=17841400000000101"),  # the plan of a sync counts
)


@pytest.mark.timeout(600)
def test_no_page_or_list_reads_more_of_a_larger_account(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in LIMITED:
        monkeypatch.setattr(module, name, LIMIT)
    monkeypatch.setattr(contact_search, "NEWEST_FIRST", contact_search.NEWEST_FIRST[:1])
    account = an_account()
    browser, crm = signed_in(app, Role.ADMIN), an_api_client(app, *TokenScope)
    large = LargeAccount(account, users.by_email(OPERATOR, "admin@example.com").viewer())

    def read(address: str) -> int:
        with _counted() as count:
            client = crm if address.startswith(API_PATHS) else browser
            answer = client.get(address, headers=HTMX if address.startswith(PARTS) else None)
            assert answer.status_code < 400, (address, answer.text)
        return count[0]

    costs = []
    with _planned_as_large():
        for contacts in (SMALL, LARGE):
            large.grow(contacts)
            _as_later()
            costs.append([(each, read(each)) for each in _addresses(app)])
    small, grown = costs
    both = [(address, before, after) for (_, before), (address, after) in zip(small, grown, strict=True)]
    assert [each for each in both if each[2] > _growth(each[0]) * each[1] + FEW] == []


def _growth(address: str) -> float:
    return GROWTH_WITHOUT_A_WORD if address.endswith("q=...") and not is_sqlite() else GROWTH


def _addresses(app: Flask) -> list[str]:
    found = [*addresses.of_pages([queue.RESOLVE], most=1), *addresses.of_api(most=1), *PAGES, *LISTS]
    assert not addresses.not_among(app, found)
    return [each for each in found if not each.endswith(GROWING)]


@contextmanager
def _planned_as_large() -> Iterator[None]:
    """Let PostgreSQL avoid what is best for small tables only: reading and hashing all of their rows."""
    if is_sqlite():
        yield
        return
    for avoided in ("seqscan", "hashjoin", "mergejoin"):
        _administer(f"ALTER DATABASE {db.engine.url.database} SET enable_{avoided} = off")
    try:
        yield
    finally:
        _administer(f"ALTER DATABASE {db.engine.url.database} RESET ALL")


def _administer(statement: str) -> None:
    db.session.remove()
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text(statement))
    db.engine.dispose()


def _as_later() -> None:
    """Do what the database does automatically, and what the scheduler does every few minutes."""
    if not is_sqlite():
        _administer("VACUUM ANALYZE")
    hourly_stats.record()
    plan.count_large()
    db.session.remove()


@contextmanager
def _counted() -> Iterator[list[int]]:
    """Count what the database does in a block: hundreds of steps on SQLite, rows and index entries on PostgreSQL."""
    with _steps() if is_sqlite() else _rows() as count:
        yield count


@contextmanager
def _steps() -> Iterator[list[int]]:
    count, engine = [0], db.engine

    def step() -> None:
        count[0] += 1

    def watch(connection: sqlite3.Connection, *_: object) -> None:
        connection.set_progress_handler(step, STEPS)

    def leave(connection: sqlite3.Connection, *_: object) -> None:
        connection.set_progress_handler(None, 0)

    event.listen(engine, "checkout", watch)
    event.listen(engine, "checkin", leave)
    try:
        yield count
    finally:
        event.remove(engine, "checkout", watch)
        event.remove(engine, "checkin", leave)


@contextmanager
def _rows() -> Iterator[list[int]]:
    count, url = [0], db.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    _disconnect()
    with psycopg.connect(url, autocommit=True) as connection:
        before = _visited(connection)
        yield count
        _disconnect()
        count[0] = _visited(connection) - before


def _disconnect() -> None:
    db.session.remove()
    db.engine.dispose()  # connections report what they read when they end


def _visited(connection: "psycopg.Connection[tuple[int]]") -> int:
    others = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND backend_type = 'client backend'"
    )
    until(lambda: connection.execute(others).fetchone() == (0,), "other connections have ended")
    found = connection.execute(
        "SELECT (SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_user_tables)"
        " + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes)"
    ).fetchone()
    assert found
    return int(found[0])
