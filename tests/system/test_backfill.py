"""A backfill on real processes, all of them killed and Redis emptied in the middle."""

import json
import os
import signal
from collections import Counter

import pytest
from redis import Redis

from app import clock, queue
from tests.factories import MAISON_LUNE
from tests.support.installation import Installation
from tests.support.processes import Processes
from tests.support.waiting import until
from tests.system.conftest import Install

PEOPLE = "SELECT count(*) FROM conversations c JOIN accounts a ON a.id = c.account_id WHERE a.ig_account_id = :account"
BACKFILL = queue.TASKS[queue.BACKFILL_SLICE].queue
SETTLED = "SELECT count(*) FROM run_items WHERE state <> 'todo'"


@pytest.mark.timeout(150)
@pytest.mark.usefixtures("redis")
def test_a_backfill_survives_the_kill_of_every_process_and_settles_each_item_once(
    install: Install, processes: Processes, redis: Redis
) -> None:
    processes.ours = ("tests.support.short_lease",)
    nametag = install("--backlog", "70", "--latency-ms", "100", queues=(BACKFILL,))
    until(lambda: nametag.sandbox.get("stats")["deliveries"]["waiting"] == 0, "the backlog has arrived")
    people = nametag.value(PEOPLE, account=MAISON_LUNE)
    run_id = nametag.command("backfill-profiles", "--account-id", MAISON_LUNE).strip()
    until(lambda: nametag.value(SETTLED) >= 5, "the run is under way")
    _kill_all(nametag)
    redis.flushall()
    assert nametag.value(SETTLED) < people
    _start_all(nametag)
    until(lambda: nametag.value("SELECT state FROM runs") == "done", "the run is done", 90)
    _assert_settled_once(nametag, run_id, people)


def _kill_all(nametag: Installation) -> None:
    for process in (nametag.web, *nametag.workers.values(), *nametag.processes.named("scheduler")):
        process.end(signal.SIGKILL)


def _start_all(nametag: Installation) -> None:
    nametag.web = nametag.processes.web(port=int(nametag.web.url.rpartition(":")[2]))
    for queue_name in list(nametag.workers):
        nametag.start_worker(queue_name)
    nametag.processes.scheduler()


def _assert_settled_once(nametag: Installation, run_id: str, people: int) -> None:
    states = Counter(row.state for row in nametag.rows("SELECT state FROM run_items"))
    shown = json.loads(nametag.command("jobs", "show", run_id, "--json"))
    assert shown["total"] == people == sum(states.values())
    counted = {"resolved": "resolved", "alreadyFresh": "fresh", "failed": "failed", "skipped": "skipped"}
    assert {word: shown[word] for word in counted} == {word: states[state] for word, state in counted.items()}
    answered = Counter(
        row.ig_participant_id
        for row in nametag.rows(
            "SELECT ig_participant_id FROM api_calls WHERE run_id = :run AND code IS NULL", run=run_id
        )
    )
    assert sum(answered.values()) - len(answered) <= 1  # at most the call that the kill interrupted was made again


@pytest.mark.usefixtures("redis")
def test_two_simultaneous_starts_make_one_job(install: Install, redis: Redis) -> None:
    nametag = install("--backlog", "40", "--latency-ms", "1800", queues=(BACKFILL,))
    until(lambda: nametag.sandbox.get("stats")["deliveries"]["waiting"] == 0, "the backlog has arrived")
    run_id = nametag.command("backfill-profiles", "--account-id", MAISON_LUNE, "--batch-size", "5").strip()
    until(lambda: nametag.value("SELECT state FROM runs") == "running", "the run is under way")
    second = nametag.processes.nametag("backfill-profiles", "--account-id", MAISON_LUNE)
    assert second.returncode == 1
    assert run_id in second.stderr
    assert second.stderr.count("\n") == 2  # the estimate, and that a job is running already
    assert nametag.value("SELECT count(*) FROM runs") == 1
    assert redis.exists(f"rq:job:{run_id}")  # the job's id outside is the RQ job's


@pytest.mark.timeout(150)
@pytest.mark.usefixtures("redis")
def test_a_job_whose_worker_is_killed_while_it_is_paused_stays_paused(install: Install, processes: Processes) -> None:
    processes.ours = ("tests.support.short_lease",)
    nametag = install("--backlog", "40", "--latency-ms", "1500", queues=(BACKFILL,))
    until(lambda: nametag.sandbox.get("stats")["deliveries"]["waiting"] == 0, "the backlog has arrived")
    run_id = nametag.command("backfill-profiles", "--account-id", MAISON_LUNE, "--batch-size", "5").strip()
    until(lambda: nametag.value("SELECT state FROM runs") == "running", "the job is under way")
    worker = nametag.workers[BACKFILL]
    os.killpg(worker.id, signal.SIGSTOP)  # in the middle of its call
    nametag.command("jobs", "pause", run_id)
    os.killpg(worker.id, signal.SIGKILL)
    nametag.start_worker(BACKFILL)
    lapsed = "SELECT count(*) FROM runs WHERE lease_until IS NULL OR lease_until < :now"
    until(lambda: nametag.value(lapsed, now=clock.now().replace(tzinfo=None)) == 1, "the lease has lapsed")
    settled, beats = nametag.value(SETTLED), "SELECT max(at) FROM heartbeats"
    since = nametag.value(beats)
    until(lambda: nametag.value(beats) > since, "the scheduler has looked for jobs again")
    assert nametag.value("SELECT state FROM runs") == "paused"
    assert nametag.value(SETTLED) == settled
    nametag.command("jobs", "resume", run_id)
    until(lambda: nametag.value("SELECT state FROM runs") == "done", "the job is done", 90)
