"""Findings of the health checks, and their fixes."""

from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import update

from app import clock, doctor, heartbeats, queue, settings
from app.db import migrate, transaction
from app.erasure import meta_callbacks
from app.factory import create_app
from app.findings import Finding, Level
from app.models.account import Account, AccountState
from app.models.identity import Identity
from app.models.process import Heartbeat
from app.viewer import OPERATOR
from tests.factories import LEA, MAISON_LUNE, a_delivery, a_message_event, an_account, people_wrote
from tests.support.signed_requests import a_signed_request
from tests.support.webhooks import receive_webhook


@pytest.fixture
def well(app: Flask, redis: Redis) -> None:
    """An installation without a problem: an account, and heartbeats of all processes."""
    an_account()
    for part in (heartbeats.SCHEDULER, *(task.queue for task in queue.TASKS.values())):
        heartbeats.reset()
        heartbeats.beat(part)


def wrong() -> list[Finding]:
    return [each for each in doctor.examine(OPERATOR) if each.level is Level.ERROR]


def findings_of(part: str) -> list[Finding]:
    return [each for each in doctor.examine(OPERATOR) if each.check == part]


@pytest.mark.usefixtures("well")
def test_where_all_is_well_nothing_is_wrong() -> None:
    assert wrong() == []
    parts = {each.check for each in doctor.examine(OPERATOR)}
    assert {"database", "disk", "redis", "scheduler", f"account {MAISON_LUNE}", "dead letters", "lookups"} <= parts


@pytest.mark.usefixtures("well")
def test_a_part_without_a_heartbeat_is_wrong_and_its_command_is_named() -> None:
    with transaction.write() as tx:
        tx.execute(update(Heartbeat).values(at=clock.now() - timedelta(minutes=2)))
    found = {each.check: each for each in wrong()}
    assert set(found) == {"scheduler", *(f"worker {task.queue}" for task in queue.TASKS.values())}
    assert "`nametag scheduler`" in (found["scheduler"].fix or "")
    assert found["scheduler"].message == "No heartbeat for 120 s"


@pytest.mark.usefixtures("well")
def test_redis_away_is_wrong(tmp_path: Path) -> None:
    with settings.using(redis_url=f"unix://{tmp_path}/nothing.sock?db=0"):
        assert [each.check for each in wrong()] == ["redis"]


@pytest.mark.usefixtures("well")
def test_an_unreachable_private_redis_is_named_without_advice_about_redis_url(tmp_path: Path) -> None:
    with settings.using(redis_url="", nametag_data_dir=tmp_path):
        (found,) = wrong()
    assert (found.check, found.message) == ("redis", "Can't reach it: No such file or directory")
    assert found.fix
    assert found.fix.startswith("Start `nametag up`, which runs it.")
    assert "REDIS_URL" not in found.fix


@pytest.mark.usefixtures("well")
def test_a_redis_that_drops_work_is_wrong(redis: Redis) -> None:
    before = str(redis.config_get("maxmemory-policy")["maxmemory-policy"])
    redis.config_set("maxmemory-policy", "allkeys-lru")
    try:
        [finding] = wrong()
    finally:
        redis.config_set("maxmemory-policy", before)
    assert finding == Finding(
        "redis",
        Level.ERROR,
        "Eviction policy is allkeys-lru: Redis may silently discard queued tasks",
        "Set maxmemory-policy to noeviction.",
        key="redis.eviction",
    )


@pytest.mark.usefixtures("well")
def test_a_redis_for_everyone_or_without_memory_is_a_warning(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server of the tests, as if it were reached over the network."""
    monkeypatch.setattr(settings, "is_private", lambda _address: False)
    before = str(redis.config_get("appendonly")["appendonly"])
    redis.config_set("appendonly", "no")
    try:
        found = [each for each in findings_of("redis") if each.level is Level.WARNING]
    finally:
        redis.config_set("appendonly", before)
    assert [each.message for each in found] == [
        "Data isn't persisted across restarts; queues and budgets are rebuilt from the database",
        "Reachable over the network without a password",
    ]
    assert all(each.fix for each in found)
    assert wrong() == []


@pytest.mark.usefixtures("well")
def test_an_account_that_must_be_reconnected_says_why() -> None:
    with transaction.write() as tx:
        tx.execute(update(Account).values(state=AccountState.RECONNECT, state_reason="The token has expired"))
    [finding] = findings_of(f"account {MAISON_LUNE}")
    assert (finding.level, finding.message) == (Level.ERROR, "The token has expired")


@pytest.mark.usefixtures("well")
def test_a_token_that_ends_within_a_week_and_a_permission_that_was_not_given_are_said() -> None:
    soon = clock.now() + timedelta(days=3, hours=1)
    with transaction.write() as tx:
        tx.execute(update(Account).values(token_expires_at=soon, permissions=["instagram_business_basic"]))
    ending, refused = findings_of(f"account {MAISON_LUNE}")
    assert (ending.level, ending.message) == (Level.WARNING, "Expires in 3 days. Reconnect the account.")
    assert (refused.level, refused.message) == (
        Level.ERROR,
        "Missing permissions: instagram_business_manage_messages",
    )


@pytest.mark.usefixtures("well")
def test_an_account_that_is_not_subscribed_is_wrong() -> None:
    with transaction.write() as tx:
        tx.execute(update(Account).values(missing_subscriptions=["messages"]))
    assert findings_of(f"account {MAISON_LUNE}")[0].message == "Not subscribed to messages"


@pytest.mark.usefixtures("well")
def test_dead_letters_and_long_waits_are_warnings() -> None:
    body = a_delivery(a_message_event(LEA), ig_account_id="17841409999999999")
    receive_webhook(body)
    people_wrote(LEA)
    with transaction.write() as tx:
        tx.execute(update(Identity).values(next_try_at=clock.now() - timedelta(minutes=2)))
    assert (findings_of("dead letters")[0].level, findings_of("lookups")[0].level) == (Level.WARNING, Level.WARNING)
    assert wrong() == []


def test_a_schema_of_another_version_is_wrong_and_nothing_else_is_asked(app: Flask, redis: Redis) -> None:
    migrate.downgrade("base")
    assert [each.fix for each in wrong()] == ["Run `nametag db upgrade`."]
    migrate.upgrade()


def test_a_database_that_is_away_is_wrong(redis_server: str, tmp_path: Path) -> None:
    with settings.using(database_url=f"sqlite:///{tmp_path}/no/such/folder/file.sqlite3", redis_url=redis_server):
        nowhere = create_app()
        with nowhere.app_context():
            assert [(each.check, each.message) for each in wrong()] == [("database", "Can't connect")]


@pytest.mark.usefixtures("well")
def test_open_requests_of_account_owners_are_a_warning() -> None:
    assert findings_of("owner requests") == []
    meta_callbacks.request_deletion(a_signed_request("10200000000000009"))
    [finding] = findings_of("owner requests")
    assert (finding.level, finding.message.startswith("1 request of account owners")) == (Level.WARNING, True)
    assert "nametag account requests list" in (finding.fix or "")
