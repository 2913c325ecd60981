"""A backfill of contacts with and without names on an exhausted budget: results, calls, estimate, waiting times.

The hour of the budget and of the sandbox lasts two minutes. Its 200 calls, 150 ms per call, two pages per second and
the contacts are those of a real hour. A pause of two minutes is harder to estimate than one of an hour.
"""

import json
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from app import clock
from app.identities import cache, resolve
from app.identities.observations import FRESH, ProfileObservation
from app.models.call import Purpose
from app.models.identity import Source
from bench import load, measures, setup
from bench.load import Answered, Request
from bench.measures import ACCOUNT, NAMED, Figure
from tests.support.installation import Installation
from tests.support.waiting import until

HOUR_SECONDS = 120
CALLS_PER_HOUR = 200
PEOPLE = 1_000
SANDBOX = ("--people", "2200", "--backlog", str(PEOPLE * 5 // 3 + 1))  # three fifths of both belong to the account
WRITERS, WRITERS_PAUSE_SECONDS = 30, 3.0  # within the fifth of the budget reserved for them
MINUTE = 60.0
CACHED = 200
MET = "SELECT ig_participant_id FROM conversations c JOIN accounts a ON a.id = c.account_id WHERE a.ig_account_id = :id"
OPEN = "SELECT count(*) FROM run_items WHERE run_id = :id AND state = 'todo'"
UNSCHEDULED = (  # without a name, a next lookup, a missing profile consent, or too many failures
    "SELECT count(*) FROM identities i JOIN run_items r ON r.ig_participant_id = i.ig_participant_id"
    " WHERE r.run_id = :id AND coalesce(i.username, i.name) IS NULL"
    " AND i.next_try_at IS NULL AND i.failure_count < 5 AND i.last_error <> 'consent'"
)


def mixed(nametag: Installation) -> Iterator[Figure]:
    """15% have no username, 5% gave no profile consent, 5% are deleted; meanwhile new contacts write."""
    until(lambda: nametag.sandbox.get("stats")["deliveries"]["waiting"] == 0, "the backlog has arrived", 120)
    contacts = [row[0] for row in nametag.rows(MET, id=ACCOUNT)]
    assert len(contacts) == PEOPLE
    named = setup.nameable(nametag.sandbox, ACCOUNT)
    newcomers = [person for person in named if person not in set(contacts)][:WRITERS]
    _mix(nametag, contacts)
    api_client = _ApiClient(nametag)
    before = measures.workers_resident(nametag)
    run_id = nametag.command("backfill-profiles", "--account-id", ACCOUNT).strip()
    writing = _Writing(nametag, newcomers)
    estimated, took = _followed(api_client, run_id)
    writing.join()
    yield Figure("mixed load: contacts neither settled nor scheduled", _unscheduled(nametag, run_id), 0, "")
    yield Figure("mixed load: calls over the limit in any hour", _over(nametag), 0, "")
    yield from _estimate_error(estimated, took)
    yield Figure("a new contact's 200 to the name meanwhile, p95", load.times_of(writing.waits).p95, 500, "ms")
    yield Figure("worker's growth over the job, resident", measures.workers_resident(nametag) - before, 5, "MiB")
    yield from _cached(nametag)


def _mix(nametag: Installation, contacts: Sequence[str]) -> None:
    shy, gone = ({"username": None, "name": None, "error": error} for error in ("230", "9010"))
    odd: tuple[dict[str, Any], ...] = (shy, gone, *({"username": None},) * 3, *({},) * 15)  # of twenty
    for place, person in enumerate(contacts):
        whole = {"username": f"person.{place}", "name": f"Person {place}", "error": None, "refused_field": None}
        nametag.sandbox.request("PATCH", f"people/{person}", **(whole | odd[place % len(odd)]))


class _ApiClient:
    """A api_client that follows a job through the API."""

    def __init__(self, nametag: Installation) -> None:
        self.url = f"{nametag.web.url}/api/jobs/"
        self.secret = nametag.command("token", "create", "bench", "--scopes", "read").strip()

    def job(self, run_id: str) -> dict[str, Any]:
        request = urllib.request.Request(self.url + run_id, headers={"Authorization": f"Bearer {self.secret}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return dict[str, Any](json.loads(answer.read()))


class _Writing(threading.Thread):
    """People who write for the first time, one after another; how long each waits for a name."""

    def __init__(self, nametag: Installation, people: Sequence[str]) -> None:
        super().__init__(daemon=True)
        self.nametag, self.people = nametag, people
        self.waits: list[Answered] = []
        self.start()

    def run(self) -> None:
        for person in self.people:
            body = measures.delivery((person, "Hello"))
            request = Request("POST", "/webhooks/instagram", body, measures.signed(body, self.nametag))
            answered = load.in_turn(self.nametag.web.url, request, times=1)[0].at
            until(partial(self.nametag.value, NAMED, person=person), f"{person} is resolved", 30)
            self.waits.append(Answered(200, time.perf_counter() - answered, answered))
            time.sleep(WRITERS_PAUSE_SECONDS)


def _followed(api_client: _ApiClient, run_id: str) -> tuple[list[tuple[float, int]], float]:
    """Return the estimates of the seconds left with their times until the job ended, and its duration."""
    began, estimated = time.perf_counter(), list[tuple[float, int]]()
    while (job := api_client.job(run_id))["finishedAt"] is None:
        if job["secondsLeft"] is not None:
            estimated.append((time.perf_counter() - began, job["secondsLeft"]))
        assert time.perf_counter() - began < 10 * HOUR_SECONDS, job
        time.sleep(0.5)
    return estimated, time.perf_counter() - began


def _estimate_error(estimated: Sequence[tuple[float, int]], took: float) -> Iterator[Figure]:
    later = [(at, left) for at, left in estimated if at >= MINUTE]
    at, left = later[0]
    yield Figure("mixed load: minutes until every contact is settled", took / 60, None, "min")
    yield Figure("time left, estimated after a minute, off by", 100 * abs(left - (took - at)) / (took - at), 20, "%")
    worst = max(abs(at + left - took) / took for at, left in later)
    yield Figure("the end, estimated at any later time, off by", 100 * worst, 20, "%")


def _unscheduled(nametag: Installation, run_id: str) -> int:
    return sum(int(nametag.value(sql, id=run_id)) for sql in (OPEN, UNSCHEDULED))


def _over(nametag: Installation) -> int:
    """Return the calls over the limit, by the sandbox's own count and by a count of its log."""
    calls = [call for call in nametag.sandbox.get("calls") if call["account"] == ACCOUNT]
    at = sorted(call["at"] for call in calls if call["kind"] in ("profile", "conversations"))
    crowded: int = sum(late - early < HOUR_SECONDS for early, late in zip(at, at[CALLS_PER_HOUR:], strict=False))
    return crowded + sum(map(bool, (call["over_limit"] for call in calls)))


def _cached(nametag: Installation) -> Iterator[Figure]:
    """Measure a lookup of names that are in Redis and not in the database."""
    account_id = int(nametag.value("SELECT id FROM accounts WHERE ig_account_id = :id", id=ACCOUNT))
    waits, since = list[Answered](), clock.now() - FRESH
    people = [f"17{number:014d}" for number in range(CACHED)]
    for person in people:
        cache.write(ACCOUNT, ProfileObservation(person, "moon", None, None, Source.PROFILE, clock.now()))
    for person in people:
        began = time.perf_counter()
        [outcome] = resolve.look_up(account_id, [person], purpose=Purpose.LIVE, fresh_since=since)
        waits.append(Answered(200, time.perf_counter() - began, began))
        assert outcome.calls == 0
    yield Figure("a name from the cache, p95", load.times_of(waits).p95, 10, "ms")
