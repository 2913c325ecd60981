"""Webhook deliveries at full speed: beside a bare INSERT, with 1,000 events, and their bytes in the database."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

from bench import load, measures
from bench.load import Request
from bench.measures import Figure
from tests.support.installation import Installation

SECONDS = 3.0
ROUNDS = 3
LARGE = 1000
LEAST_RATIO = 0.45
LARGEST_P99 = 3.0


def speed(nametag: Installation, baseline: str, *, on: str) -> Iterator[Figure]:
    """Compare durable webhooks per second with bare INSERTs, at 1 and 16 clients in turn, 10% of them repeated."""
    for clients in (1, 16):
        ours, bare, cpu_seconds = [], [], 0.0
        for _ in range(ROUNDS):
            bare.append(load.at_full_speed(baseline, measures.inserts(), seconds=SECONDS, clients=clients))
            requests, before = measures.deliveries(nametag), measures.cpu_seconds(nametag)
            ours.append(load.at_full_speed(nametag.web.url, requests, seconds=SECONDS, clients=clients))
            cpu_seconds += measures.cpu_seconds(nametag) - before
        assert {answer.status for round_ in ours for answer in round_} == {200}
        ratios = sorted(len(one) / len(other) for one, other in zip(ours, bare, strict=True))
        what = f"{on}: webhooks / bare INSERTs, {clients} client{'s' if clients > 1 else ''}"
        yield Figure(what, ratios[ROUNDS // 2], LEAST_RATIO, "x", least=True)
        used = cpu_seconds / sum(map(len, ours)) * 1000
        yield Figure(f"{on}: CPU time of a webhook in the web server", used, None, "ms")
        if clients > 1:
            mine, theirs = (load.times_of([each for round_ in all_ for each in round_]) for all_ in (ours, bare))
            yield Figure(f"{on}: webhook at 16 clients, p99 in bare INSERTs", mine.p99 / theirs.p99, LARGEST_P99, "x")
            yield Figure("  in milliseconds, p99", mine.p99, None, "ms")


def size(nametag: Installation, *, on: str, most_bytes: int) -> Iterator[Figure]:
    """Measure a POST of 1,000 events, and the bytes of ten thousand messages with their indexes."""
    before, longest = _bytes(nametag), 0.0
    for number in range(10):
        body = measures.delivery(
            *((f"1700000{place % 200:09d}", f"Message {number}/{place}") for place in range(LARGE))
        )
        request = Request("POST", "/webhooks/instagram", body, measures.signed(body, nametag))
        [answer] = load.in_turn(nametag.web.url, request, times=1)
        assert answer.status == 200
        longest = max(longest, answer.seconds)
    yield Figure(f"{on}: a POST of 1,000 events, longest of 10", longest, 1, "s")
    yield Figure(
        f"{on}: bytes per message with its indexes", (_bytes(nametag) - before) / (10 * LARGE), most_bytes, "B"
    )


def _bytes(nametag: Installation) -> int:
    address = nametag.processes.variables["DATABASE_URL"]
    if address.startswith("sqlite"):
        nametag.rows("PRAGMA wal_checkpoint(TRUNCATE)")
        time.sleep(0.2)
        return Path(re.sub("^sqlite:///", "", address)).stat().st_size
    return int(nametag.value("SELECT pg_total_relation_size('messages')"))
