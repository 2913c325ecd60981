"""Metrics in Prometheus' text format: figures from the database and Redis, for all processes and hosts together.

Every process answers alike, so that any of them may be scraped. The database is asked only what an index answers or a
limit bounds. Labels are account IDs, kinds and reasons: never a name, a text or the ID of a contact.
"""

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Connection, case, func, or_, select

from app import clock, counters, heartbeats, installation, queue, reply_state
from app.calls import budget
from app.db.engine import db
from app.db.transaction import DatabaseUnavailable
from app.models.account import Account, AccountState
from app.models.alert import Alert
from app.models.conversation import Conversation
from app.models.ingest import DeadLetter
from app.models.process import Heartbeat
from app.models.run import IS_ACTIVE, Run
from app.redis_client import RedisUnavailable

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
FRESH_SECONDS = 10.0  # how long an answer is repeated: several scrapers cost as much as one
MOST_LETTERS = 10_000  # dead letters that are counted; there are rarely more than a few
MOST_REPLIES = 10_000  # needed replies of an account that are counted, those that have waited longest


@dataclass(slots=True)
class _Answer:
    at: float
    text: bytes


_lock = threading.Lock()
_last: dict[str, _Answer] = {}  # by database; only tests have several


def render() -> bytes:
    """Return the metrics as text, at most 10 s old. Never raises for an unavailable database or Redis."""
    name = str(db.engine.url)
    with _lock:
        last = _last.get(name)
        if last is None or clock.monotonic() - last.at >= FRESH_SECONDS:
            registry = CollectorRegistry()
            registry.register(_Installation())
            last = _last[name] = _Answer(clock.monotonic(), generate_latest(registry))
        return last.text


def reset() -> None:
    """Forget the last answer."""
    _last.clear()


class _Installation(Collector):
    """Reads all figures at the moment of a scrape."""

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics; those of a part that is unavailable are missing, and `nametag_up` says so."""
        yield _gauge("nametag_build_info", "Version of this process", ("version",), [((installation.VERSION,), 1)])
        accounts: dict[str, str] = {}
        database = list[Metric]()
        try:
            with db.engine.connect() as connection:
                accounts = _accounts_by_id(connection)
                database = [*_account_figures(connection), *_needed_replies(connection, accounts)]
                database += [*_work_figures(connection), _alerts(connection), _heartbeats(connection)]
        except DatabaseUnavailable:
            database.clear()
        redis = list[Metric]()
        try:
            redis = [*_counted(accounts), *_queues(), _budgets(accounts)]
        except RedisUnavailable:
            redis.clear()
        parts = [(("database",), int(bool(database))), (("redis",), int(bool(redis)))]
        yield _gauge("nametag_up", "Whether a part answered this scrape", ("part",), parts)
        yield from (*database, *redis)


def _accounts_by_id(connection: Connection) -> dict[str, str]:
    found = select(Account.id, Account.ig_account_id).where(Account.state != AccountState.DELETING)
    return {str(row.id): row.ig_account_id for row in connection.execute(found)}


def _account_figures(connection: Connection) -> Iterator[Metric]:
    columns = (Account.ig_account_id, Account.state, Account.last_webhook_at, Account.token_expires_at)
    rows = connection.execute(select(*columns).where(Account.state != AccountState.DELETING)).all()
    connected = [((row.ig_account_id,), int(row.state is AccountState.CONNECTED)) for row in rows]
    yield _gauge("nametag_account_connected", "Whether the account's access token works", ("account",), connected)
    webhooks = [((row.ig_account_id,), row.last_webhook_at.timestamp()) for row in rows if row.last_webhook_at]
    yield _gauge("nametag_last_webhook_timestamp_seconds", "When the last webhook arrived", ("account",), webhooks)
    expiries = [((row.ig_account_id,), row.token_expires_at.timestamp()) for row in rows if row.token_expires_at]
    yield _gauge("nametag_token_expiry_timestamp_seconds", "When the access token expires", ("account",), expiries)


def _needed_replies(connection: Connection, accounts: dict[str, str]) -> Iterator[Metric]:
    now, numbers, oldest = clock.now(), list[tuple[tuple[str, ...], float]](), list[tuple[tuple[str, ...], float]]()
    columns = select(Conversation.last_incoming_at, Conversation.needs_reply_since).where(reply_state.NEEDS_REPLY)
    for account_id, account in accounts.items():
        longest = columns.where(Conversation.account_id == int(account_id))
        longest = longest.order_by(Conversation.needs_reply_since).limit(MOST_REPLIES)
        found = longest.subquery()
        states = reply_state.in_window_state(found.c.last_incoming_at, now)
        counts = (func.coalesce(func.sum(case((state, 1), else_=0)), 0) for state in states.values())
        *counted, since = connection.execute(select(*counts, func.min(found.c.needs_reply_since))).one()
        numbers += [((account, str(state)), number) for state, number in zip(states, counted, strict=True)]
        oldest.append(((account,), (now - since).total_seconds() if since else 0))
    says = f"Conversations that need a reply; at most the oldest {MOST_REPLIES} of an account are counted"
    yield _gauge("nametag_needs_reply", says, ("account", "state"), numbers)
    says = "How long the contact has waited who waits longest for a reply, 0 without one"
    yield _gauge("nametag_needs_reply_oldest_seconds", says, ("account",), oldest)


def _work_figures(connection: Connection) -> Iterator[Metric]:
    recent = select(DeadLetter.reason).order_by(DeadLetter.id.desc()).limit(MOST_LETTERS).subquery()
    letters = connection.execute(select(recent.c.reason, func.count()).group_by(recent.c.reason)).all()
    yield _gauge(
        "nametag_dead_letters_open",
        f"Dead letters that wait for a replay; at most the newest {MOST_LETTERS} are counted",
        ("reason",),
        [((reason,), number) for reason, number in letters],
    )
    states = ("resolved", "fresh", "failed", "skipped")
    sums = [func.sum(getattr(Run, state)) for state in states]
    active = select(Account.ig_account_id, Run.kind, *sums, func.sum(Run.total)).where(IS_ACTIVE)
    rows = connection.execute(
        active.join(Account, Account.id == Run.account_id).group_by(Account.ig_account_id, Run.kind)
    )
    contacts = list[tuple[tuple[str, ...], float]]()
    for account, kind, *settled, total in rows:
        numbers = (*zip(states, settled, strict=True), ("open", total - sum(settled)))
        contacts += [((account, str(kind), state), number) for state, number in numbers]
    yield _gauge("nametag_job_contacts", "Contacts of active jobs", ("account", "kind", "state"), contacts)


def _alerts(connection: Connection) -> Metric:
    columns = (Alert.kind, Account.ig_account_id, Alert.acknowledged_at, Account.alerts_muted_at)
    kept = or_(Alert.account_id.is_(None), Account.state != AccountState.DELETING)
    rows = connection.execute(select(*columns).outerjoin(Account).where(Alert.open_key.is_not(None), kept)).all()
    found = list[tuple[tuple[str, ...], float]]()
    for row in rows:
        state = "muted" if row.alerts_muted_at else "acknowledged" if row.acknowledged_at else "open"
        found.append(((row.ig_account_id or "", str(row.kind), state), 1))
    says = "Open alerts, of an account or of the installation"
    return _gauge("nametag_alerts_open", says, ("account", "kind", "state"), found)


def _heartbeats(connection: Connection) -> Metric:
    rows = connection.execute(select(Heartbeat.part, Heartbeat.at)).all()
    parts = [((row.part,), row.at.timestamp()) for row in rows if row.part in (heartbeats.SCHEDULER, *queue.QUEUES)]
    return _gauge("nametag_heartbeat_timestamp_seconds", "When a part last reported that it runs", ("part",), parts)


def _counted(accounts: dict[str, str]) -> Iterator[Metric]:
    found = counters.read()
    for measure in counters.MEASURES:
        sums = found.get(measure.name, {})
        if "account" in measure.labels:  # counted by our ID, since the row of the account may be deleted
            sums = {(accounts[key[0]], *key[1:]): number for key, number in sums.items() if key[0] in accounts}
        if measure.buckets:
            histogram = HistogramMetricFamily(measure.name, measure.says, labels=measure.labels)
            for labels, buckets, total in counters.histograms(measure, sums):
                histogram.add_metric(labels, buckets=buckets, sum_value=total)
            yield histogram
        else:
            counter = CounterMetricFamily(measure.name, measure.says, labels=measure.labels)
            for labels, number in sorted(sums.items()):
                counter.add_metric(labels, number)
            yield counter


def _queues() -> Iterator[Metric]:
    found = queue.figures()
    tasks = [((each.queue,), each.tasks) for each in found]
    oldest = [((each.queue,), each.oldest_seconds) for each in found]
    workers = [((each.queue,), each.workers) for each in found]
    yield _gauge("nametag_queue_tasks", "Tasks that wait for a worker", ("queue",), tasks)
    yield _gauge("nametag_queue_oldest_seconds", "Age of the oldest waiting task, 0 without one", ("queue",), oldest)
    yield _gauge("nametag_workers", "Workers that listen to a queue", ("queue",), workers)


def _budgets(accounts: dict[str, str]) -> Metric:
    left = budget.left([int(each) for each in accounts])
    figures = [((accounts[str(account_id)],), calls) for account_id, calls in left.items()]
    return _gauge("nametag_api_call_budget_left", "API calls left in the last 60 minutes", ("account",), figures)


def _gauge(
    name: str, says: str, labels: Iterable[str], figures: Iterable[tuple[tuple[str, ...], float]]
) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(name, says, labels=list(labels))
    for values, figure in figures:
        gauge.add_metric(values, figure)
    return gauge
