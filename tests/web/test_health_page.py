"""The Health page, `GET /api/health` and `nametag health`: the findings that the scheduler stored."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from html import unescape
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import delete, select, update

from app import clock, doctor, findings, heartbeats, queue, redis_checks, redis_client, settings
from app.accounts import health
from app.alerts import receivers
from app.calls import circuit_breaker
from app.db import migrate, transaction
from app.db.engine import db
from app.erasure import meta_callbacks, owner_requests
from app.errors import Unavailable
from app.findings import UNKNOWN, Level
from app.ingest import dead_letters
from app.insights import service_levels
from app.insights.service_levels import MovedReason, ServiceLevel
from app.instagram.errors import GraphAPIError, Reason, Scope
from app.models.account import Account, AccountState
from app.models.call import CallRefusal
from app.models.identity import Identity
from app.models.ingest import DeadLetter
from app.models.process import Heartbeat, StoredFinding
from app.runs import failures
from app.scheduler import CHECKS, DUTIES
from app.users import users
from app.viewer import OPERATOR, Role
from tests.api.clients import an_api_client
from tests.cli.commands import nametag
from tests.factories import (
    ATELIER_NORD,
    LEA,
    MAISON_LUNE,
    a_message_event,
    an_account,
    deliver,
    people_wrote,
)
from tests.support.frozen_clock import FrozenClock
from tests.support.signed_requests import a_signed_request
from tests.web.browsing import PASSWORD, click, part, sign_in, signed_in

NUMBERS = count()


@pytest.fixture
def ops(app: Flask, frozen_clock: FrozenClock) -> FlaskClient:
    """Ops of an installation without a problem."""
    an_account()
    beat()
    return signed_in(app)


def beat() -> None:
    """Send a heartbeat of every process."""
    for each in (heartbeats.SCHEDULER, *(task.queue for task in queue.TASKS.values())):
        heartbeats.reset()
        heartbeats.beat(each)


def run_duty() -> None:
    """Run what the scheduler runs every 30 seconds."""
    [duty] = CHECKS
    assert DUTIES[duty] <= 60
    duty()


def words(page: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", "", page)))


def of_api(app: Flask, **options: Any) -> dict[str, Any]:
    found = an_api_client(app, "read", name=f"token {next(NUMBERS)}", **options).get("/api/health")
    assert found.status_code == 200, found.text
    report: dict[str, Any] = found.get_json()
    return report


def of_cli() -> dict[str, Any]:
    report: dict[str, Any] = json.loads(nametag("health", "--json").stdout)
    return report


@contextmanager
def changed(model: type[Any], **values: Any) -> Iterator[None]:
    before = {name: db.session.scalar(select(getattr(model, name)).limit(1)) for name in values}
    with transaction.write() as tx:
        tx.execute(update(model).values(**values))
    yield
    with transaction.write() as tx:
        tx.execute(update(model).values(**before))


@contextmanager
def silent_processes() -> Iterator[None]:
    with transaction.write() as tx:
        tx.execute(update(Heartbeat).values(at=clock.now() - timedelta(minutes=2)))
    yield
    beat()


@contextmanager
def no_account() -> Iterator[None]:
    with changed(Account, state=AccountState.DELETING):
        yield


@contextmanager
def a_refused_call() -> Iterator[None]:
    with transaction.write() as tx:
        values = {"call": "profile", "code": "10", "sentence": "Permission missing", "wave": False}
        times = {"since": clock.now(), "retry_at": clock.now() + timedelta(minutes=5)}
        account_id = db.session.scalars(select(Account.id)).one()
        tx.execute(tx.insert(CallRefusal).values(account_id=account_id, **values, **times))
    yield
    with transaction.write() as tx:
        tx.execute(delete(CallRefusal))


@contextmanager
def open_circuit() -> Iterator[None]:
    account_id = db.session.scalars(select(Account.id)).one()
    circuit_breaker.record_failure(account_id, GraphAPIError(Scope.ACCOUNT, Reason.RATE_LIMITED, "4"), token=None)
    yield
    redis_client.client().flushall()


@contextmanager
def a_dead_letter(reason: str = "") -> Iterator[None]:
    deliver(a_message_event(LEA), ig_account_id="17841409999999999")
    if reason:
        with transaction.write() as tx:
            tx.execute(update(DeadLetter).values(reason=reason))
    yield
    with transaction.write() as tx:
        tx.execute(delete(DeadLetter))


@contextmanager
def an_owner_request() -> Iterator[None]:
    meta_callbacks.request_deletion(a_signed_request("10200000000000009"))
    yield
    [code] = [each.code for each in owner_requests.open_requests(OPERATOR)]
    owner_requests.close(OPERATOR, code)


@contextmanager
def a_late_lookup() -> Iterator[None]:
    people_wrote(LEA)
    with transaction.write() as tx:
        tx.execute(update(Identity).values(next_try_at=clock.now() - timedelta(minutes=2)))
    yield
    with transaction.write() as tx:
        tx.execute(update(Identity).values(next_try_at=None))


@contextmanager
def patched(where: Any, name: str, value: Any) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(where, name, value)
        yield


@contextmanager
def configured_redis(**values: str) -> Iterator[None]:
    names = {name.replace("_", "-"): value for name, value in values.items()}
    before = {name: str(redis_client.client().config_get(name)[name]) for name in names}
    for name, value in names.items():
        redis_client.client().config_set(name, value)
    yield
    for name, value in before.items():
        redis_client.client().config_set(name, value)


@contextmanager
def no_redis() -> Iterator[None]:
    with settings.using(redis_url="unix:///nowhere/nothing.sock?db=0"):
        yield


def broken(*_: object) -> Any:
    raise ZeroDivisionError("a secret")


FAILED_JOB = SimpleNamespace(ig_account_id=MAISON_LUNE, title="Backfill profiles", planned=34, run_id="0123456789ab")
MISSED = ServiceLevel(timedelta(milliseconds=500), 95, contacts=100, in_time=90)
PROVOKED: dict[str, Callable[[], AbstractContextManager[None]]] = {
    "database.disk": lambda: patched(doctor, "FREE_BYTES", 2**70),
    "database.check": lambda: patched(migrate, "schema", broken),
    "redis.connection": no_redis,
    "redis.eviction": lambda: configured_redis(maxmemory_policy="allkeys-lru"),
    "redis.persistence": lambda: patched(settings, "is_private", lambda _: False),
    "redis.check": lambda: patched(redis_checks, "require_ours", broken),
    "processes.scheduler": silent_processes,
    **{f"processes.{task.queue}": silent_processes for task in queue.TASKS.values()},
    "accounts.none": no_account,
    "accounts.token": lambda: changed(Account, state=AccountState.RECONNECT, state_reason="The token has expired"),
    "accounts.permissions": lambda: changed(Account, permissions=["instagram_business_basic"]),
    "accounts.subscription": lambda: changed(Account, missing_subscriptions=["messages"]),
    "accounts.fields": lambda: changed(Account, refused_subscriptions={"messaging_seen": "Not offered"}),
    "accounts.silent": lambda: patched(health, "_silent", lambda _: True),
    "accounts.lookups": a_refused_call,
    "accounts.calls": open_circuit,
    "accounts.check": lambda: patched(doctor, "_subscription", broken),
    "owner_requests.open": an_owner_request,
    "dead_letters.open": a_dead_letter,
    "dead_letters.unresolved": lambda: a_dead_letter(dead_letters.UNRESOLVED),
    "lookups.waiting": a_late_lookup,
    "jobs.failed": lambda: patched(failures, "failed_jobs", lambda _: [FAILED_JOB]),
    "naming.slow": lambda: patched(service_levels, "service_levels", lambda *_: [MISSED]),
    "naming.reasons": lambda: patched(service_levels, "moved_reasons", lambda _: [MovedReason("Timeout", 30, 20, 10)]),
    "alert_receivers.troubled": lambda: patched(receivers, "troubled", lambda: [(1, "switched off")]),
}


@pytest.mark.parametrize("key", PROVOKED)
def test_a_finding_appears_with_the_same_words_on_page_api_and_command_and_goes_away(
    key: str, ops: FlaskClient, app: Flask, frozen_clock: FrozenClock
) -> None:
    client = an_api_client(app, "read")
    run_duty()
    assert key not in {each["key"] for each in of_cli()["findings"] if each["level"] != "ok"}
    frozen_clock.forward(seconds=1)
    with PROVOKED[key]():
        run_duty()
        began = frozen_clock.now()
        found = of_cli()
        [ours] = [each for each in found["findings"] if each["key"] == key]
        assert (ours["level"] in ("warning", "error"), ours["since"]) == (True, clock.rfc3339(began))
        assert found["state"] != "ok"
        page = words(ops.get("/health").text)
        for each in (ours["message"], (ours["fix"] or "").replace("`", "")):
            assert " ".join(each.split()) in page
        assert ours["fix"]
        assert "a secret" not in json.dumps(found)
        frozen_clock.forward(seconds=30)
        run_duty()
        [still] = [each for each in of_cli()["findings"] if each["key"] == key]
        assert still["since"] == ours["since"]
        if key != "redis.connection":  # the client's rate limit is in Redis
            assert client.get("/api/health").get_json() == of_cli()
    beat()
    run_duty()
    assert key not in {each["key"] for each in of_cli()["findings"] if each["level"] != "ok"}
    assert client.get("/api/health").get_json() == of_cli()
    assert ours["message"] not in words(ops.get("/health").text)


def test_each_key_of_the_doctor_is_provoked_or_cannot_be_stored() -> None:
    source = Path(doctor.__file__).read_text()
    keys = set(re.findall(r'key="([a-z_.]+)"', source)) | {
        f"accounts.{each}" for each in re.findall(r'finding\("([a-z_]+)"', source)
    }
    unstored = {"database.connection", "database.schema", "database.read_only"}  # the database can't be written
    others = {"redis.configuration", "redis.password", "redis.unusable"}  # tests/test_hosted_redis.py, test_doctor.py
    assert keys - set(PROVOKED) == unstored | others | {"accounts.connection"}


def test_the_doctor_and_the_stored_findings_have_the_same_keys(ops: FlaskClient, app: Flask) -> None:
    run_duty()
    [now, stored] = [json.loads(nametag(name, "--json").stdout) for name in ("doctor", "health")]
    without_since = [{name: each[name] for name in each if name != "since"} for each in stored["findings"]]
    assert without_since == now
    assert stored == of_api(app)


def test_without_a_scheduler_the_page_says_how_old_its_findings_are(
    ops: FlaskClient, app: Flask, frozen_clock: FrozenClock
) -> None:
    assert "The checks have not run yet" in words(ops.get("/health").text)
    assert (of_cli()["state"], of_api(app)["checkedAt"]) == (UNKNOWN, None)
    run_duty()
    frozen_clock.forward(seconds=40)
    page = words(ops.get("/health").text)
    assert "Checked 40 s ago" in page
    assert "Unknown" not in page
    frozen_clock.forward(minutes=4)
    page = words(ops.get("/health").text)
    assert "These findings are 4 minutes old" in page
    assert "Start the scheduler with nametag scheduler" in page
    answer = nametag("health")
    assert (answer.exit_code, "4 minutes old" in answer.stdout) == (1, True)
    assert of_api(app)["state"] == UNKNOWN
    assert click(ops, "/health/check", htmx=False).status_code == 303
    page = words(ops.get("/health").text)
    assert "Checked 0 s ago" in page
    assert "No heartbeat for 280 s" in page
    assert of_api(app)["state"] == "error"


def test_check_now_returns_the_part_and_marks_the_menu(ops: FlaskClient) -> None:
    run_duty()
    assert "a health check failed" not in ops.get("/inbox").text
    with silent_processes():
        answer = click(ops, "/health/check")
        assert (answer.status_code, "<html" in answer.text, "No heartbeat" in answer.text) == (200, False, True)
        assert "a health check failed" in answer.text
    assert "a health check failed" in ops.get("/inbox").text
    click(ops, "/health/check")
    assert "a health check failed" not in part(ops, "/health").text


def test_limited_ops_see_findings_of_their_accounts_only(ops: FlaskClient, app: Flask) -> None:
    nord = an_account(ATELIER_NORD)
    with transaction.write() as tx:
        tx.execute(update(Account).values(state=AccountState.RECONNECT, state_reason="The token has expired"))
    users.add_user(OPERATOR, "limited@example.com", role=Role.OPS, password=PASSWORD, account_ids=[nord.id])
    limited = app.test_client()
    sign_in(limited, "limited@example.com")
    run_duty()
    page = limited.get("/health").text
    assert f"account-{ATELIER_NORD}" in page
    assert MAISON_LUNE not in page
    assert not {"Redis", "Processes", "Database"} & set(re.findall(r'<h2 id="[^"]+">([^<]+)<', page))
    assert MAISON_LUNE not in click(limited, "/health/check").text
    assert {each["accountId"] for each in of_api(app, accounts=[nord.id])["findings"]} == {ATELIER_NORD}
    with transaction.write() as tx:
        tx.execute(update(Account).where(Account.id == nord.id).values(state=AccountState.CONNECTED))
    with silent_processes():
        run_duty()
        assert "a health check failed" not in limited.get("/inbox").text


def test_agents_see_neither_page_nor_link(ops: FlaskClient, app: Flask) -> None:
    agent = signed_in(app, Role.AGENT)
    assert [agent.get("/health").status_code, click(agent, "/health/check").status_code] == [403, 403]
    assert 'href="/health"' not in agent.get("/inbox").text
    assert 'href="/health"' in ops.get("/inbox").text


def test_check_now_while_the_database_refuses_changes_is_a_503(
    ops: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise Unavailable("database")

    monkeypatch.setattr(findings, "store", refuse)
    assert click(ops, "/health/check").status_code == 503


def test_an_account_takes_its_findings_with_it(ops: FlaskClient) -> None:
    run_duty()
    of_account = select(StoredFinding.id).where(StoredFinding.account_id.is_not(None))
    assert db.session.scalars(of_account).all()
    db.session.rollback()
    found = doctor.examine(OPERATOR)
    with transaction.write() as tx:
        tx.execute(delete(Account))
    assert db.session.scalars(of_account).all() == []
    findings.store(found, clock.now())  # of checks that ran before the account was deleted
    assert db.session.scalars(of_account).all() == []


def test_only_an_error_or_an_unknown_state_makes_the_command_fail(ops: FlaskClient, redis: Redis) -> None:
    run_duty()
    assert nametag("health").exit_code == 0
    with a_dead_letter():
        run_duty()
        answer = nametag("health")
    assert answer.exit_code == 0
    assert "warning  dead letters: 1 not processed (since " in answer.stdout
    assert findings.report(OPERATOR).state == Level.WARNING
