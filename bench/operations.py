"""Operations: pages of a job of 100,000 contacts, polls with 50 open alerts, webhooks while an alert receiver hangs.

Filling is not part of a figure. Pages and polls are measured in turn with the bare hello page, deliveries with a
receiver that hangs in turn with deliveries without one.
"""

import statistics
import urllib.request
from collections.abc import Iterator
from typing import Any

from sqlalchemy import bindparam, delete, insert, or_, text

from app import clock
from app.db import transaction
from app.db.engine import db
from app.db.types import Secret, UTCDateTime
from app.models.alert import (
    Alert,
    AlertDelivery,
    AlertEvent,
    AlertKind,
    AlertReceiver,
    DeliveryState,
    ReceiverKind,
)
from app.models.process import Level
from app.models.run import Run, RunKind, RunState
from bench import load, measures, setup
from bench.load import Answered, Request
from bench.measures import ACCOUNT, Figure
from tests.support.alert_sinks import HttpSink, http_sink
from tests.support.installation import Installation
from tests.support.waiting import until

CONTACTS, ALERTS = 100_000, 50
RUN_ID, PAGE = "0123456789ab", 50
ROUNDS, EACH = 5, 20
RATE, SECONDS, WRITERS = 50.0, 4.0, 20
WITHIN_NOISE = 1.25
_NUMBERS = (
    "WITH RECURSIVE numbers (n) AS"
    " (SELECT CAST(1 AS bigint) UNION ALL SELECT n + 1 FROM numbers WHERE n < CAST(:contacts AS bigint))"
)
# Seven of ten contacts were resolved and one was fresh; two failed, for two reasons.
_IDENTITIES = f"""{_NUMBERS}
INSERT INTO identities (account_id, ig_participant_id, username, first_seen_at, last_success_at, terms)
SELECT :account_id, '16' || (10000000000000 + n), CASE WHEN n % 10 < 8 THEN 'person.' || n END, :now,
  CASE WHEN n % 10 < 8 THEN :now END, CASE WHEN n % 10 < 8 THEN 'person ' || n END
FROM numbers
"""
_ITEMS = f"""{_NUMBERS}
INSERT INTO run_items (run_id, ig_participant_id, position, state, reason, code, calls, seconds, settled_at)
SELECT :run_id, '16' || (10000000000000 + n), n,
  CASE WHEN n % 10 < 7 THEN 'resolved' WHEN n % 10 = 7 THEN 'fresh' ELSE 'failed' END,
  CASE n % 10 WHEN 8 THEN 'consent' WHEN 9 THEN 'not_visible' END, CASE n % 10 WHEN 8 THEN '230' END, 1, 0.2, :now
FROM numbers
"""


def speed(nametag: Installation, baseline: str, *, on: str) -> Iterator[Figure]:
    """Measure the job's pages and the polls without a scheduler; then the deliveries with one."""
    nametag.processes.named("scheduler")[-1].end()  # it would recover the alerts
    account_id = nametag.value("SELECT id FROM accounts WHERE ig_account_id = :id", id=ACCOUNT)
    _store_job(account_id)
    _open_alerts(account_id)
    cookie = ("Cookie", measures.sign_in(nametag.web.url))
    yield from _job_pages(nametag.web.url, baseline, cookie, on)
    yield from _polls(nametag, baseline, cookie, on)
    yield from _deliveries(nametag, on)


def _store_job(account_id: int) -> None:
    now = clock.now()
    resolved, fresh = CONTACTS * 7 // 10, CONTACTS // 10
    run = Run(
        **{"id": RUN_ID, "account_id": account_id, "kind": RunKind.REFRESH, "state": RunState.DONE, "batch_size": 10},
        **{"started_by": "ops@example.com", "created_at": now, "started_at": now, "finished_at": now},
        **{"total": CONTACTS, "resolved": resolved, "fresh": fresh, "failed": CONTACTS - resolved - fresh},
    )
    values = {"contacts": CONTACTS, "account_id": account_id, "run_id": RUN_ID, "now": now}
    with transaction.write() as tx:
        tx.session.add(run)
        tx.session.flush()
        if tx.dialect == "postgresql":
            tx.execute(text("SET LOCAL statement_timeout = 0"))
        for sql in (_IDENTITIES, _ITEMS):
            statement = text(sql).bindparams(bindparam("now", type_=UTCDateTime))
            tx.execute(statement, {name: values[name] for name in statement.compile().params})
    if db.engine.dialect.name == "postgresql":
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("ANALYZE"))
    db.session.remove()


def _open_alerts(account_id: int) -> None:
    now = clock.now()
    common = {"kind": AlertKind.HEALTH_CHECK, "account_id": account_id, "level": Level.WARNING, "text": "Bench"}
    common |= {"opened_at": now, "since": now, "seen_at": now}
    with transaction.write() as tx:
        tx.execute(insert(Alert), [common | {"open_key": f"bench {number}"} for number in range(ALERTS)])


def _job_pages(url: str, baseline: str, cookie: tuple[str, str], on: str) -> Iterator[Figure]:
    deepest = CONTACTS - PAGE
    for what, query in (
        ("first page", ""),
        ("deepest page", f"?after={deepest}"),
        ("deepest page of a reason", f"?state=failed&reason=consent&after={deepest - 10 * PAGE}"),
    ):
        page = Request("GET", f"/jobs/{RUN_ID}{query}", headers=(cookie,))
        yield from _against_hello(url, baseline, page, 200, f"{on}: job of 100,000, {what}", limit_ms=40)


def _polls(nametag: Installation, baseline: str, cookie: tuple[str, str], on: str) -> Iterator[Figure]:
    url, writer = nametag.web.url, setup.nameable(nametag.sandbox, ACCOUNT, 1)[0]
    _deliver(nametag, measures.delivery((writer, "Hello")))
    until(lambda: nametag.value(measures.WAITING) == CONTACTS // 5, "the contact was looked up", 30)
    conversation = nametag.value("SELECT id FROM conversations WHERE ig_participant_id = :who", who=writer)
    for what, path in (
        ("list", f"/inbox/list?account={ACCOUNT}"),
        ("thread", f"/inbox/{conversation}/messages?limit=50"),
    ):
        headers = (cookie, ("HX-Request", "true"))
        poll = Request("GET", path, headers=(*headers, ("If-None-Match", _etag(f"{url}{path}", headers))))
        yield from _against_hello(url, baseline, poll, 304, f"{on}: unchanged poll of {what}, 50 alerts", limit_ms=5)


def _etag(url: str, headers: tuple[tuple[str, str], ...]) -> str:
    with urllib.request.urlopen(urllib.request.Request(url, headers=dict(headers))) as answer:
        return str(answer.headers["ETag"])


def _against_hello(
    url: str, baseline: str, request: Request, status: int, what: str, *, limit_ms: float
) -> Iterator[Figure]:
    hello, ours = list[Answered](), list[Answered]()
    for _ in range(ROUNDS):
        hello += load.in_turn(baseline, Request("GET", "/hello"), times=EACH)
        ours += load.in_turn(url, request, times=EACH)
    assert {answer.status for answer in ours} == {status}, what
    yield from measures.in_hello_pages(what, ours, hello, limit_ms=limit_ms)


def _deliveries(nametag: Installation, on: str) -> Iterator[Figure]:
    without, with_one = list[list[Answered]](), list[list[Answered]]()
    with http_sink() as sink:
        receiver_id = _receiver(sink.url)
        nametag.processes.scheduler(ALERT_PRIVATE_ADDRESSES="true")
        _at_rate(nametag)  # its contacts are known afterwards
        for number in range(ROUNDS):
            without.append(_at_rate(nametag))
            _hang(sink, receiver_id, number)
            with_one.append(_at_rate(nametag))
            sink.release.set()
            until(lambda: _ended(nametag), "the receiver has answered", 30)
    assert {answer.status for round_ in (*without, *with_one) for answer in round_} == {200}
    mine, theirs = ([load.times_of(round_).p99 for round_ in each] for each in (with_one, without))
    ratios = [one / other for one, other in zip(mine, theirs, strict=True)]
    what = f"{on}: webhooks' p99, alert receiver hangs / none"
    yield Figure(what, statistics.median(ratios), WITHIN_NOISE, "x")
    yield Figure("  in milliseconds, median of the rounds", statistics.median(mine), None, "ms")
    yield Figure("  without an alert receiver, the same", statistics.median(theirs), None, "ms")


def _at_rate(nametag: Installation) -> list[Answered]:
    requests = measures.deliveries(nametag, among=WRITERS)
    return load.at_rate(nametag.web.url, requests, per_second=RATE, seconds=SECONDS)


def _receiver(address: str) -> int:
    secret = Secret.hide("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    receiver = AlertReceiver(
        **{"kind": ReceiverKind.URL, "address": address, "secret": secret, "events": [AlertEvent.TEST], "zone": "UTC"},
        created_at=clock.now(),
    )
    with transaction.write() as tx:
        tx.session.add(receiver)
        tx.session.flush()
        return receiver.id


def _hang(sink: HttpSink, receiver_id: int, round_: int) -> None:
    """Queue more deliveries than the scheduler can try during a round; return when the first one hangs."""
    sink.release.clear()
    before, now = len(sink.requests), clock.now()
    common: dict[str, Any] = {"receiver_id": receiver_id, "event": AlertEvent.TEST, "payload": "{}"}
    common |= {"state": DeliveryState.QUEUED, "next_try_at": now, "created_at": now}
    names = [f"bench {round_} {number}" for number in range(10)]
    with transaction.write() as tx:
        tx.execute(insert(AlertDelivery), [common | {"key": name, "message_id": name} for name in names])
    until(lambda: len(sink.requests) > before, "the receiver hangs", 30)


def _ended(nametag: Installation) -> bool:
    """Delete deliveries that are not being sent; return whether none is left."""
    with transaction.write() as tx:
        tx.execute(delete(AlertDelivery).where(or_(AlertDelivery.tries == 0, AlertDelivery.error.is_not(None))))
    return not nametag.rows("SELECT 1 FROM alert_deliveries WHERE state = 'queued'")


def _deliver(nametag: Installation, body: bytes) -> None:
    request = Request("POST", "/webhooks/instagram", body, measures.signed(body, nametag))
    [answer] = load.in_turn(nametag.web.url, request, times=1)
    assert answer.status == 200
