"""One account of a million contacts and messages: lists, filters, searches, plans, Insights, polls, metrics, processes.

Each page is measured in turn with the bare hello page, through the web server. Limits are multiples of what the hello
page takes in the same run, so that they hold on slow and on busy machines.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from itertools import repeat
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import select, text

from app import clock, metrics
from app.db import transaction
from app.db.engine import db
from app.insights import hourly_stats
from app.models.account import Account, AccountState, Login
from app.models.run import RunKind
from app.runs import lifecycle, plan
from app.viewer import OPERATOR
from bench import load, measures
from bench.load import Answered, Request
from bench.measures import Figure
from tests.support.installation import Installation

CONTACTS, CALLS = 1_000_000, 140_000
IG_ACCOUNT_ID, SPREAD = "17841400000088888", timedelta(days=30)
AT_ONCE = 100_000  # rows of one statement
ROUNDS, EACH = 5, 20
CLIENTS, SECONDS = 8, 3.0
# On PostgreSQL a poll waits for one process more, where on SQLite the database works inside the web process.
POLLS_PER_HELLO = {"SQLite": 0.35, "PostgreSQL": 0.28}
FIRST_NAMES = ("anna", "ben", "cora", "dina", "emil", "fay", "gus", "hana", "ines", "jon")
WIDTH = 4  # characters of the longest first name
FACTS = "\u00a4ktext"  # what search indexes about a text message
_NUMBERS = (
    "WITH RECURSIVE numbers (n) AS"
    " (SELECT CAST(:first AS bigint) UNION ALL SELECT n + 1 FROM numbers WHERE n < CAST(:last AS bigint))"
)
_LINED_UP = "".join(each.ljust(WIDTH) for each in FIRST_NAMES)
_FIRST_NAME = f"trim(substr('{_LINED_UP}', CAST(n % 10 * {WIDTH} + 1 AS integer), {WIDTH}))"
_USERNAME = f"{_FIRST_NAME} || '.' || n"
# Every tenth contact is unknown: never tried, without profile consent, or stopped. Every seventh name is stale.
_IDENTITIES = f"""{_NUMBERS}
INSERT INTO identities (account_id, ig_participant_id, username, name, first_seen_at, last_success_at,
  last_failure_at, failure_count, last_error, terms)
SELECT :account_id, '15' || (10000000000000 + n), CASE WHEN n % 10 <> 9 THEN {_USERNAME} END,
  CASE WHEN n % 10 < 5 THEN {_FIRST_NAME} || ' Brown' END, {{at}},
  CASE WHEN n % 10 = 9 THEN NULL WHEN n % 7 = 0 THEN {{long_ago}} ELSE {{now}} END,
  CASE WHEN n % 30 IN (9, 19) THEN {{at}} END, CASE n % 30 WHEN 9 THEN 1 WHEN 19 THEN 5 ELSE 0 END,
  CASE n % 30 WHEN 9 THEN 'consent' WHEN 19 THEN 'not_visible' END,
  CASE WHEN n % 10 < 5 THEN {_USERNAME} || ' ' || {_FIRST_NAME} || ' ' || n || ' brown'
    WHEN n % 10 < 9 THEN {_USERNAME} || ' ' || {_FIRST_NAME} || ' ' || n END
FROM numbers
"""
_CONVERSATIONS = f"""{_NUMBERS}
INSERT INTO conversations (account_id, ig_participant_id, known, unread_count, first_message_at, last_message_at,
  last_message_mid, last_message_kind, last_message_preview, last_message_outgoing, last_incoming_at,
  needs_reply_since)
SELECT :account_id, '15' || (10000000000000 + n), n % 10 <> 9, CASE WHEN n % 50 = 0 THEN 1 ELSE 0 END, {{at}}, {{at}},
  'm' || n, 'text', 'Thank you', false, {{at}}, CASE WHEN n % 3 = 0 THEN {{at}} END
FROM numbers
"""
_MESSAGES = """
INSERT INTO messages (account_id, conversation_id, mid_digest, mid, ig_sender_id, outgoing, kind, text, sent_at, terms)
SELECT account_id, id, {digest}, last_message_mid, ig_participant_id, false, 'text',
  'Thank you, order ' || id % 5000, last_message_at, 'thank you order ' || id % 5000 || ' ' || :facts
FROM conversations WHERE account_id = :account_id AND id BETWEEN :first AND :last
"""
_CALLS = f"""{_NUMBERS}
INSERT INTO api_calls (account_id, call, purpose, at, http_status, took_ms)
SELECT :account_id, 'profile', 'live', {{at}}, 200, 150 FROM numbers
"""
_TIME = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f000', {0}, 'unixepoch')",
    "postgresql": "to_timestamp({0})",
}
_DIGEST = {
    "sqlite": "CAST(printf('%016d', id) AS BLOB)",
    "postgresql": "convert_to(lpad(id::text, 16, '0'), 'UTF8')",
}
_GIN = (
    "SELECT indexname, indexdef FROM pg_indexes WHERE tablename IN ('identities', 'messages')"
    " AND indexdef LIKE '% USING gin %'"
)


def fill(contacts: int) -> None:
    """Store the account, by few statements; on PostgreSQL the search indexes are built afterwards, which is faster."""
    begin, now = clock.now() - SPREAD, clock.now()
    account = Account(
        ig_account_id=IG_ACCOUNT_ID, login=Login.INSTAGRAM, own_ids=[], state=AccountState.CONNECTED, connected_at=begin
    )
    with transaction.write() as tx:
        tx.session.add(account)
        tx.session.flush()
        account_id = account.id
    values: dict[str, Any] = {
        "account_id": account_id,
        "begin": begin.timestamp(),
        "step": SPREAD.total_seconds() / contacts,
    }
    values |= {"long_ago": (now - SPREAD).timestamp(), "now": now.timestamp(), "facts": FACTS}
    rebuilt = _without_search_indexes()
    for statement, rows in ((_IDENTITIES, contacts), (_CONVERSATIONS, contacts)):
        _run(statement, range(rows), values)
    first = db.session.execute(text("SELECT min(id) FROM conversations WHERE account_id = :id"), {"id": account_id})
    lowest = int(first.scalar_one())
    db.session.rollback()
    _run(_MESSAGES, range(lowest, lowest + contacts), values)
    calls = max(1, CALLS * contacts // CONTACTS)
    _run(_CALLS, range(calls), values | {"step": SPREAD.total_seconds() / calls})
    _alone([*rebuilt, "ANALYZE"] if db.engine.dialect.name == "postgresql" else [])
    hourly_stats.record()
    plan.count_large()
    db.session.remove()


def _run(statement: str, numbers: range, values: Mapping[str, Any]) -> None:
    dialect = db.engine.dialect.name
    times = {
        "at": _TIME[dialect].format("CAST(:begin AS float) + n * CAST(:step AS float)"),
        "long_ago": _TIME[dialect].format("CAST(:long_ago AS float)"),
        "now": _TIME[dialect].format("CAST(:now AS float)"),
    }
    sql = text(statement.format(digest=_DIGEST[dialect], **times))
    wanted = {name: values[name] for name in sql.compile().params if name in values}
    for first in range(numbers.start, numbers.stop, AT_ONCE):
        last = min(first + AT_ONCE, numbers.stop) - 1
        with transaction.write() as tx:
            if dialect == "postgresql":
                tx.execute(text("SET LOCAL statement_timeout = 0"))
            tx.execute(sql, wanted | {"first": first, "last": last})


def _without_search_indexes() -> list[str]:
    """Drop the search indexes of PostgreSQL; return the statements that build them again."""
    if db.engine.dialect.name == "sqlite":
        return []
    found = db.session.execute(text(_GIN)).all()
    db.session.rollback()
    _alone(f"DROP INDEX {row.indexname}" for row in found)
    return [row.indexdef for row in found]


def _alone(statements: Iterable[str]) -> None:
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in statements:
            connection.execute(text("SET statement_timeout = 0"))
            connection.execute(text("SET lock_timeout = 0"))  # of the server's own ANALYZE
            connection.execute(text(statement.replace(":", "\\:")))
        if connection.dialect.name == "postgresql":
            connection.execute(text("RESET statement_timeout"))
            connection.execute(text("RESET lock_timeout"))


def speed(nametag: Installation, baseline: str, *, on: str, contacts: int) -> Iterator[Figure]:
    """Measure each page, the API and the metrics in turn with the hello page; then processes and lists in pairs."""
    nametag.processes.named("scheduler")[-1].end()  # its hourly duties would run during some of the pages
    url, cookie = nametag.web.url, ("Cookie", measures.sign_in(nametag.web.url))
    secret = nametag.command("token", "create", "million", "--scopes", "read").strip()
    bearer, part = ("Authorization", f"Bearer {secret}"), ("HX-Request", "true")
    number = contacts // 2 // 10 * 10
    who, username = f"15{10_000_000_000_000 + number}", f"{FIRST_NAMES[0]}.{number}"

    def page(path: str, *headers: tuple[str, str], **query: str) -> Request:
        return Request("GET", f"{path}?{urlencode({'account': IG_ACCOUNT_ID} | query)}", headers=(cookie, *headers))

    def api(**query: str) -> Request:
        return Request("GET", f"/api/identities?{urlencode({'accountId': IG_ACCOUNT_ID} | query)}", headers=(bearer,))

    filters: list[dict[str, str]] = [{}, *({"state": state} for state in ("known", "stale", "unknown"))]
    filters += [{"reason": reason} for reason in ("never_tried", "stopped", "consent", "not_visible")]
    names = [{"q": q} for q in (username, who, who[-6:], FIRST_NAMES[0], f"{FIRST_NAMES[0]} brown", "zzzz")]
    inbox = [{"q": q} for q in (username, f"from:@{username}", who, FIRST_NAMES[0])]
    measured: tuple[tuple[str, Sequence[Request], float], ...] = (
        ("/identities, any filter", [page("/identities", **each) for each in filters], 40),
        ("/identities, search", [page("/identities", **each) for each in names], 40),
        ("/api/identities, any filter and search", [api(**each) for each in (*filters, *names)], 40),
        ("/jobs/new with its plan", [page("/jobs/new")], 50),
        ("inbox search for a contact or username", [page("/inbox/list", part, **q) for q in inbox], 25),
        ("inbox search for a common word", [page("/inbox/list", part, q="thank")], 25),
        ("/insights", [page("/insights")], 40),
        ("list of the inbox, changed", [page("/inbox/list", part)], 40),
    )
    for what, requests, limit_ms in measured:
        yield from _against_hello(url, baseline, requests, f"{on}: {what}", limit_ms)
    tag = ("If-None-Match", measures.etag(url, cookie[1], account=IG_ACCOUNT_ID))
    unchanged = page("/inbox/list", part, tag)
    yield _rate(url, baseline, unchanged, f"{on}: unchanged poll's rate off hello's", POLLS_PER_HELLO[on])
    yield _needs_reply(url, page("/inbox/list", part), page("/inbox/list", part, filter="needs_reply"), on)
    yield from _scrape(baseline, on)
    yield _two_processes(nametag, page("/inbox"), on)
    yield _job_start(on)


def _against_hello(
    url: str, baseline: str, requests: Sequence[Request], what: str, limit_ms: float
) -> Iterator[Figure]:
    hello, ours = [], []
    for _ in range(ROUNDS):
        hello += load.in_turn(baseline, Request("GET", "/hello"), times=EACH)
        for request in requests:
            ours += load.in_turn(url, request, times=EACH // 4 if len(requests) > 1 else EACH)
    assert {answer.status for answer in ours} == {200}, what
    yield from measures.in_hello_pages(what, ours, hello, limit_ms=limit_ms)


def _rate(url: str, baseline: str, poll: Request, what: str, least: float) -> Figure:
    hello, polled = _in_turn((baseline, Request("GET", "/hello")), (url, poll))
    assert {answer.status for answer in polled} == {304}
    return Figure(what, load.times_of(hello).p50 / load.times_of(polled).p50, least, "x", least=True)


def _needs_reply(url: str, whole: Request, replies: Request, on: str) -> Figure:
    unfiltered, needed = _in_turn((url, whole), (url, replies))
    assert {answer.status for answer in (*unfiltered, *needed)} == {200}
    ratio = load.times_of(needed).p50 / load.times_of(unfiltered).p50
    return Figure(f"{on}: needed replies against the whole list", ratio, 1.2, "x")


def _in_turn(*asked: tuple[str, Request]) -> list[list[Answered]]:
    answers: list[list[Answered]] = [[] for _ in asked]
    for _ in range(ROUNDS):
        for each, (url, request) in zip(answers, asked, strict=True):
            each += load.in_turn(url, request, times=EACH)
    return answers


def _scrape(baseline: str, on: str) -> Iterator[Figure]:
    """Render the metrics without the copy that is kept for 10 s, inside this process."""
    hello, took = [], []
    for _ in range(ROUNDS):
        hello += load.in_turn(baseline, Request("GET", "/hello"), times=EACH)
        for _ in range(EACH):
            metrics.reset()
            began = clock.monotonic()
            metrics.render()
            took.append(Answered(200, clock.monotonic() - began, began))
    yield from measures.in_hello_pages(f"{on}: scrape of /metrics", took, hello, limit_ms=20)


def _job_start(on: str) -> Figure:
    """Start a job of all contacts, as a request does."""
    account_id = db.session.execute(select(Account.id).where(Account.ig_account_id == IG_ACCOUNT_ID)).scalar_one()
    began = clock.monotonic()
    lifecycle.start(OPERATOR, account_id, kind=RunKind.REFRESH)
    return Figure(f"{on}: start of a job of all contacts", clock.monotonic() - began, 2, "s")


def _two_processes(nametag: Installation, listed: Request, on: str) -> Figure:
    """Compare the rate of list pages of two web processes and of one, at full speed in turn."""
    two, ratios = nametag.processes.web(WEB_PROCESSES="2"), []
    for _ in range(ROUNDS):
        one, both = (
            load.at_full_speed(url, repeat(listed), seconds=SECONDS, clients=CLIENTS)
            for url in (nametag.web.url, two.url)
        )
        assert {answer.status for answer in (*one, *both)} == {200}
        ratios.append(len(both) / len(one))
    two.end()
    return Figure(f"{on}: list pages of two web processes off one's", sorted(ratios)[ROUNDS // 2], 1.6, "x", least=True)
