"""A gap on real processes: noticed by the web server, read by a job whose worker is killed twice, reported once."""

import json
import signal
import time
from datetime import timedelta
from functools import partial

import pytest
from redis import Redis
from sqlalchemy import update

from app import clock, queue
from app.models.process import Heartbeat
from tests.factories import MAISON_LUNE
from tests.support.installation import Installation
from tests.support.processes import Processes
from tests.support.waiting import until
from tests.system.conftest import Install

SYNC = queue.TASKS[queue.SYNC_SLICE].queue
READ = "SELECT count(*) FROM run_items"
CLOSED = "SELECT count(*) FROM gaps WHERE state = 'closed'"
PEOPLE = 120


@pytest.mark.timeout(200)
@pytest.mark.usefixtures("redis")
def test_messages_of_an_outage_are_fetched_although_the_worker_is_killed_twice(
    install: Install, processes: Processes, redis: Redis
) -> None:
    processes.ours = ("tests.support.short_lease",)
    nametag = install("--latency-ms", "300", queues=(SYNC,))
    until(lambda: nametag.value("SELECT count(*) FROM heartbeats WHERE part = 'web'") == 1, "the web server reports")
    nametag.web.end(signal.SIGKILL)
    began_ms = int(time.time() * 1000)
    for number, person in enumerate(nametag.sandbox.get(f"people?account={MAISON_LUNE}")[:PEOPLE]):
        status = nametag.sandbox.post("send", person=person["id"], at_ms=began_ms + number, times=2)["status"]
        assert status == 0
    with nametag.database.begin() as connection:
        connection.execute(
            update(Heartbeat).where(Heartbeat.part == "web").values(at=clock.now() - timedelta(minutes=9))
        )
    nametag.web = processes.web(port=int(nametag.web.url.rpartition(":")[2]))
    for least in (1, 60):
        until(partial(_has_read, nametag, least), "the sync is under way", 60)
        nametag.workers[SYNC].end(signal.SIGKILL)
        redis.flushall()
        nametag.start_worker(SYNC)
    until(lambda: nametag.value(CLOSED) == 2, "the gaps of both accounts are read", 90)
    [gap] = json.loads(nametag.command("gaps", "--account-id", MAISON_LUNE, "--json"))
    assert (gap["causes"], gap["fetched"], gap["conversations"]) == (["outage"], 2 * PEOPLE, PEOPLE)
    shown = json.loads(nametag.command("jobs", "show", gap["jobId"], "--json"))
    assert (shown["state"], shown["total"], shown["newMessages"]) == ("done", PEOPLE, 2 * PEOPLE)


def _has_read(nametag: Installation, least: int) -> bool:
    return bool(nametag.value(READ) >= least)
