"""Messages delivered while parts of Nametag are killed and restarted: none is lost, none doubled."""

import random
import signal
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from redis import Redis

from app import queue
from tests.support import installation
from tests.support.installation import Installation, RedisServer
from tests.support.waiting import until
from tests.system.conftest import Install

RESOLVE = queue.TASKS[queue.RESOLVE].queue
NAMELESS = (
    "SELECT i.ig_participant_id FROM identities i WHERE i.username IS NULL AND i.name IS NULL AND i.last_error IS NULL"
)


@pytest.fixture
def redis_apart() -> Iterator[RedisServer]:
    with TemporaryDirectory(prefix="nt-") as folder:
        server = installation.redis_of(Path(folder))
        yield server
        server.stop()


@pytest.mark.timeout(120)
def test_redis_stopped_and_started_during_ingest_loses_nothing(install: Install, redis_apart: RedisServer) -> None:
    nametag = install("--pace", "60", redis_url=redis_apart.address, queues=(RESOLVE,))
    _await_accepted(nametag, 40)
    redis_apart.stop()
    _await_accepted(nametag, 60)
    redis_apart.start()
    _await_accepted(nametag, 20)
    _assert_everything_arrived(nametag)
    until(lambda: not nametag.rows(NAMELESS), "everyone has a name or a reason", 40)
    assert nametag.value("SELECT count(*) FROM identities WHERE username IS NOT NULL") > 5


@pytest.mark.timeout(120)
@pytest.mark.usefixtures("redis")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_web_server_that_ends_during_ingest_loses_nothing(install: Install, number: signal.Signals) -> None:
    nametag = install("--pace", "40", queues=())
    _await_accepted(nametag, 30)
    port = int(nametag.web.url.rpartition(":")[2])
    nametag.web.end(number)
    nametag.web = nametag.processes.web(port=port)
    _await_accepted(nametag, 30)
    _assert_everything_arrived(nametag)


@pytest.mark.usefixtures("redis")
def test_doubled_and_disordered_deliveries_are_stored_once(install: Install) -> None:
    nametag = install("--pace", "60", queues=())
    nametag.sandbox.request("PATCH", "settings", duplicates=0.3, disorder=0.5)
    _await_accepted(nametag, 120)
    _assert_everything_arrived(nametag)
    _assert_each_counts_once(nametag)


@pytest.mark.timeout(400)
def test_nothing_is_lost_or_doubled_while_parts_are_killed_at_random(
    install: Install, redis: Redis, pytestconfig: pytest.Config
) -> None:
    """The number of deliveries is `--events`; after every few hundred a part is killed or Redis emptied."""
    events = pytestconfig.getoption("--events")
    kills = max(6, events // 450)
    nametag = install("--pace", "60", queues=(RESOLVE,))
    nametag.sandbox.request("PATCH", "settings", duplicates=0.2, disorder=0.4)
    chance = random.Random(31)
    port = int(nametag.web.url.rpartition(":")[2])
    for _ in range(kills):
        _await_accepted(nametag, events // kills)
        what = chance.choice(("web", "worker", "redis"))
        if what == "web":
            nametag.web.end(signal.SIGKILL)
            nametag.web = nametag.processes.web(port=port)
        elif what == "worker":
            nametag.workers[RESOLVE].end(signal.SIGKILL)
            nametag.start_worker(RESOLVE)
        else:
            redis.flushall()
    _assert_everything_arrived(nametag)
    _assert_each_counts_once(nametag)


def _assert_each_counts_once(nametag: Installation) -> None:
    """Each message of a contact has a number of its own, and those that no answer has read are unread."""
    numbered = "SELECT count(DISTINCT arrival) FROM messages m WHERE NOT outgoing AND m.conversation_id = c.id"
    assert nametag.rows(f"SELECT c.id FROM conversations c WHERE c.arrival_count <> ({numbered})") == []
    assert nametag.value("SELECT count(*) FROM messages WHERE NOT outgoing AND arrival IS NULL") == 0
    unread = "SELECT count(*) FROM messages m WHERE m.arrival > c.read_through AND m.conversation_id = c.id"
    assert nametag.rows(f"SELECT c.id FROM conversations c WHERE c.unread_count <> ({unread})") == []


def _await_accepted(nametag: Installation, more: int) -> None:
    before = nametag.sandbox.get("stats")["deliveries"]["accepted"]
    until(
        lambda: nametag.sandbox.get("stats")["deliveries"]["accepted"] >= before + more,
        f"{more} more deliveries are accepted",
        30,
    )


def _assert_everything_arrived(nametag: Installation) -> None:
    nametag.sandbox.request("PATCH", "settings", pace="off")
    until(lambda: nametag.sandbox.get("stats")["deliveries"]["waiting"] == 0, "every delivery is accepted", 40)
    sent = nametag.sandbox.get("stats")["messages"]
    assert nametag.value("SELECT count(*) FROM messages") == sent
    assert nametag.value("SELECT count(DISTINCT mid) FROM messages") == sent
    assert nametag.value("SELECT count(*) FROM dead_letters") == 0
