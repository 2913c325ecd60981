"""A backfill of many contacts: API calls and time until each contact with a username is resolved."""

import time
from collections.abc import Iterator

from bench import load, measures
from bench.measures import ACCOUNT, Figure
from tests.support.installation import Installation
from tests.support.waiting import until

SANDBOX = ("--people", "2200", "--backlog", "4000")
SECONDS = 5.0
WRITERS = 150  # contacts who write now; all others wrote long ago
WRITING = "SELECT count(*) FROM identities WHERE next_purpose = 'live'"
SWEPT = "SELECT scanned_contacts FROM runs WHERE scanned_pages >= scan_pages"


def backfill(nametag: Installation, *, on: str) -> Iterator[Figure]:
    """More than a thousand contacts wrote long ago and were never looked up; meanwhile others write."""
    until(lambda: nametag.sandbox.get("stats")["deliveries"]["waiting"] == 0, "the backlog has arrived", 300)
    met = measures.deliveries(nametag, among=WRITERS)
    before = load.at_full_speed(nametag.web.url, met, seconds=SECONDS, clients=16)
    until(lambda: nametag.value(WRITING) == 0, "the contacts who write meanwhile are resolved", 120)
    began = time.perf_counter()
    run_id = nametag.command("backfill-profiles", "--account-id", ACCOUNT).strip()
    writing = measures.deliveries(nametag, among=WRITERS)
    meanwhile = load.at_full_speed(nametag.web.url, writing, seconds=SECONDS, clients=16)
    until(lambda: nametag.value(SWEPT) is not None, "the pages are read", 120)
    seconds = time.perf_counter() - began
    [run] = nametag.rows("SELECT total, scanned_pages, scanned_contacts FROM runs WHERE id = :id", id=run_id)
    nametag.command("jobs", "cancel", run_id)
    assert run.scanned_contacts > 800
    assert {answer.status for answer in meanwhile} == {200}
    p99 = load.times_of(meanwhile).p99
    yield Figure(f"{on}: webhook's p99 while a backfill runs, off before", p99 / load.times_of(before).p99, 3, "x")
    yield Figure("  in milliseconds, p99", p99, None, "ms")
    yield Figure(
        "calls to resolve 1,000 contacts with usernames", run.scanned_pages * 1000 / run.scanned_contacts, 25, ""
    )
    yield Figure("seconds until 1,000 contacts are resolved", seconds * 1000 / run.scanned_contacts, 60, "s")
    over = [call for call in nametag.sandbox.get("calls") if call["over_limit"]]
    yield Figure("calls over Meta's limit of 2 pages per second", len(over), 0, "")
