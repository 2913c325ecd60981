"""A production installation, all parts together: each is killed during a job and deliveries, and nothing is lost.

nginx with the shipped configuration, two web processes, four workers, two schedulers, PostgreSQL behind a transaction
pooler, and a Redis with TLS, a password and a restricted user. Meta is the sandbox, which production would refuse:
so NAMETAG_ENV is development.
"""

import json
import os
import re
import secrets
import signal
import ssl
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import URL, NullPool, create_engine

from app import clock, queue, settings
from app.queue import QUEUES
from bench import setup
from tests.factories import MAISON_LUNE, a_delivery, a_message_event
from tests.support import certificates, databases, hosted_redis, installation, pgbouncer, postgresql, proxy
from tests.support.installation import Installation
from tests.support.processes import Processes, children
from tests.support.waiting import until
from tests.support.webhooks import signature_of
from tests.system.deliveries import MESSAGES
from tests.system.test_two_web_servers import WRONG
from tests.system.test_web_processes import Browser
from tests.test_hosted_redis import DOCUMENTED, OUR_KEYS

RESOLVE, BACKFILL = (queue.TASKS[name].queue for name in (queue.RESOLVE, queue.BACKFILL_SLICE))
WRITING, LONG_AGO = 6, 8  # contacts of each round who write meanwhile, and who wrote yesterday
AT_ONCE = 4
CALLS_PER_HOUR = "5000"
LATENCY_MS = 300  # of Meta, so that a job is still running when a part is killed
POOLED = {"default_pool_size": "20", "max_client_conn": "200"}
NAMED = "SELECT count(*) FROM identities WHERE username IS NOT NULL"
SETTLED = "SELECT state, count(*) AS contacts FROM run_items WHERE run_id = :run GROUP BY state"


@dataclass
class Production:
    """The running parts, a signed-in browser behind the proxy, and what was delivered."""

    nametag: Installation
    pooler: pgbouncer.PgBouncer
    redis: hosted_redis.Server
    browser: Browser
    contacts: Iterator[str]
    delivered: list[str] = field(default_factory=list)

    def some(self, number: int) -> list[str]:
        """Return contacts who have not written yet."""
        return [next(self.contacts) for _ in range(number)]

    def deliver(self, contacts: Sequence[str], *, ago: timedelta = timedelta()) -> None:
        """Deliver a message of each contact in one delivery, and repeat it as Meta does until it is accepted."""
        first_ms = int((clock.now() - ago).timestamp() * 1000)
        events = [a_message_event(who, at_ms=first_ms + place) for place, who in enumerate(contacts)]
        body = a_delivery(*events).decode()
        headers = {"Content_Type": "application/json", "X_Hub_Signature_256": signature_of(body.encode(), self.secret)}
        until(lambda: self.answer("POST", "/webhooks/instagram", body, **headers) == 200, "it is accepted", 30)
        self.delivered += contacts

    def answer(self, method: str, path: str, body: str = "", **headers: str) -> int:
        """Return the status of an answer, 0 if the connection broke."""
        with suppress(OSError):
            return self.browser.request(method, path, body, **headers)[0]
        return 0

    def page(self, path: str) -> str:
        """Return a part of a page once it is shown."""

        def shown() -> str:
            status, _, text = self.browser.request("GET", path, HX_Request="true")
            return text if status == 200 else ""

        return until(shown, f"{path} is shown", 20)

    @property
    def secret(self) -> str:
        """The secret of Meta's app."""
        return self.nametag.app_secret

    def start_backfill(self) -> str:
        """Start a backfill on the Jobs page; return its ID."""
        token = re.search(r'"X-CSRFToken": "([^"]+)"', self.browser.request("GET", "/jobs")[2])
        assert token
        fields = f"account={MAISON_LUNE}&batch_size=5"
        status, _, _ = self.browser.request("POST", "/jobs/backfill", fields, X_CSRFToken=token[1], HX_Request="true")
        assert status < 400
        return str(self.nametag.value("SELECT id FROM runs ORDER BY created_at DESC LIMIT 1"))

    def state_of(self, run_id: str) -> str:
        """Return the state of a job."""
        return str(self.nametag.value("SELECT state FROM runs WHERE id = :run", run=run_id))


def restricted_user(password: str) -> tuple[str, ...]:
    """Return options of a server that only this user may use, with the permissions that docs/redis.md gives it."""
    user = ("--user", "nametag", "on", f">{password}", *OUR_KEYS, "resetchannels", *DOCUMENTED)
    return ("--user", "default", "off", *user)


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory, postgresql_url: URL) -> Iterator[Production]:
    """One installation for all tests of this module."""
    folder, password = tmp_path_factory.mktemp("production"), secrets.token_hex(16)
    certificates.self_signed(folder)
    authority = folder / certificates.CERTIFICATE
    postgresql.drop(postgresql_url, "production")
    direct = postgresql.create(postgresql_url, "production")
    with ExitStack() as stack:
        stack.callback(postgresql.drop, postgresql_url, "production")
        pooler = stack.enter_context(pgbouncer.running(direct, **POOLED))
        redis = stack.enter_context(hosted_redis.running(folder / "redis", *restricted_user(password)))
        tls = stack.enter_context(hosted_redis.forwarder(redis.port, certificate=folder))
        processes = stack.enter_context(Processes(folder, ours=("tests.support.short_lease",)))
        processes.variables |= {
            "WEB_PROCESSES": "2",
            "PROXY_HOPS": "1",
            "TRUSTED_HOSTS": "127.0.0.1",
            "GRAPH_CALLS_PER_HOUR": CALLS_PER_HOUR,
        }
        nametag = started(
            processes,
            databases.address(pooler.url),
            f"rediss://nametag:{password}@{hosted_redis.HOST}:{tls.port}/0?ssl_ca_certs={authority}",
        )
        nametag.database = create_engine(direct, poolclass=NullPool)  # what the test reads does not need the pooler
        port = int(nametag.web.url.rpartition(":")[2])
        front = stack.enter_context(proxy.in_front_of(port, folder / "proxy"))
        trusted = ssl.create_default_context(cafile=str(folder / "proxy" / certificates.CERTIFICATE))
        contacts = iter(setup.nameable(nametag.sandbox, MAISON_LUNE, 150))
        yield Production(nametag, pooler, redis, Browser(f"https://127.0.0.1:{front}", trusted), contacts)


def started(processes: Processes, database_url: str, redis_url: str) -> Installation:
    """Migrate the database as in production, and start all processes."""
    with settings.using(database_url=database_url, redis_url=redis_url) as chosen:
        processes.share(chosen)
        migrated = processes.nametag("db", "upgrade")
        assert migrated.returncode == 0, migrated.stderr
        options = ("--people", "600", "--latency-ms", str(LATENCY_MS), "--calls-per-hour", CALLS_PER_HOUR)
        nametag = installation.started(processes, chosen, *options)
    assert set(nametag.workers) == set(QUEUES)
    processes.worker(RESOLVE)
    processes.scheduler()
    until(lambda: len(children(nametag.web.id)) == 2, "two web processes run")
    return nametag


def test_a_user_signs_in_through_the_proxy(production: Production) -> None:
    assert production.browser.sign_in() == 303
    assert f"account={MAISON_LUNE}" in production.page("/inbox/list")
    assert production.answer("GET", "/readyz") == 200


def test_the_name_of_a_contact_who_writes_appears_in_the_list(production: Production) -> None:
    [contact] = production.some(1)
    production.deliver([contact])
    username = until(
        lambda: production.nametag.value("SELECT username FROM identities WHERE ig_participant_id = :id", id=contact),
        "the contact is resolved",
    )
    until(lambda: f"{username}</bdi>" in production.page("/inbox/list"), "the list shows the name")


def kill_web_process(production: Production) -> Callable[[], object]:
    """Kill one of the two processes; the server itself starts another."""
    web = production.nametag.web.id
    first = min(children(web))
    os.kill(first, signal.SIGKILL)
    return lambda: until(lambda: len(children(web) - {first}) == 2, "two web processes run")


def kill_worker(production: Production) -> Callable[[], object]:
    """Kill the worker of the job, and the process that it forked for the task."""
    os.killpg(production.nametag.workers[BACKFILL].id, signal.SIGKILL)
    return partial(production.nametag.start_worker, BACKFILL)


def kill_scheduler(production: Production) -> Callable[[], object]:
    """Kill one of the two schedulers."""
    processes = production.nametag.processes
    processes.named("scheduler")[-1].end(signal.SIGKILL)
    return processes.scheduler


def kill_pooler(production: Production) -> Callable[[], object]:
    """Kill PgBouncer with every connection to the database."""
    production.pooler.kill()
    return production.pooler.start


def kill_redis(production: Production) -> Callable[[], object]:
    """Kill Redis with all its data."""
    production.redis.kill()
    return production.redis.start


KILLS = (kill_web_process, kill_worker, kill_scheduler, kill_pooler, kill_redis)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kill", KILLS, ids=lambda kill: kill.__name__.removeprefix("kill_"))
def test_nothing_is_lost_when_a_part_is_killed_and_returns(
    production: Production, kill: Callable[[Production], Callable[[], object]]
) -> None:
    nametag = production.nametag
    production.deliver(production.some(LONG_AGO), ago=timedelta(days=1))
    run_id = production.start_backfill()
    until(lambda: production.state_of(run_id) == "running", "the job is under way")
    assert f"/jobs/{run_id}/cancel" in production.page("/jobs/live")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        pending = [pool.submit(production.deliver, [contact]) for contact in production.some(WRITING)]
        until(lambda: any(each.done() for each in pending), "deliveries arrive")
        bring_back = kill(production)
        bring_back()
        for each in pending:
            each.result()
    assert nametag.value(MESSAGES) == len(production.delivered)
    assert nametag.rows(WRONG) == []
    assert nametag.value("SELECT count(*) FROM dead_letters") == 0
    until(lambda: production.state_of(run_id) == "done", "the job is done", 60)
    settled = {row.state: row.contacts for row in nametag.rows(SETTLED, run=run_id)}
    shown = json.loads(nametag.command("jobs", "show", run_id, "--json"))
    assert (shown["resolved"] + shown["alreadyFresh"], shown["failed"]) == (shown["total"], 0)
    assert sum(settled.values()) == shown["total"] >= LONG_AGO
    until(lambda: nametag.value(NAMED) == len(production.delivered), "each contact has a name", 30)
    assert f"/jobs/{run_id}/cancel" not in production.page("/jobs/live")
    until(lambda: production.answer("GET", "/readyz") == 200, "the installation is ready")
