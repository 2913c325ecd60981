"""Installations for bench.goals, and contacts who wrote long ago."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from app import clock, settings
from app.db import migrate
from app.factory import create_app
from bench import load
from bench.load import Request
from tests.factories import a_delivery, a_message_event
from tests.support import installation
from tests.support.installation import Installation, RedisServer
from tests.support.processes import Processes, Sandbox
from tests.support.webhooks import signed_headers

TOGETHER = 100  # messages per delivery


@contextmanager
def installed(*sandbox_options: str, calls_per_hour: int) -> Iterator[tuple[Installation, RedisServer]]:
    """Run an installation on SQLite and a Redis of its own; the block has the app's context."""
    with TemporaryDirectory(prefix="nt-goal-") as path, Processes(Path(path)) as processes:
        redis = installation.redis_of(Path(path))
        ours = {"database_url": f"sqlite:///{path}/nametag.sqlite3", "redis_url": redis.address}
        try:
            with settings.using(**ours, nametag_data_dir=Path(path)) as chosen, create_app().app_context():
                migrate.upgrade()
                processes.variables["GRAPH_CALLS_PER_HOUR"] = str(calls_per_hour)
                limit = ("--calls-per-hour", str(calls_per_hour))
                yield installation.started(processes, chosen, *limit, *sandbox_options), redis
        finally:
            redis.stop()


def nameable(sandbox: Sandbox, account: str, number: int | None = None) -> list[str]:
    """Return `number` contacts of an account whose profile has a username; None: all of them."""
    contacts = sandbox.get(f"people?account={account}")
    complete = [each for each in contacts if each["username"] and not each["error"] and not each["refused_field"]]
    found = [each["id"] for each in complete if not each["username"].startswith("UNKNOWN_")]
    assert len(found) >= (number or 1)
    return found[:number]


def wrote(url: str, secret: str, people: Sequence[str], *, ago: timedelta) -> None:
    """Deliver one message of each contact to maison.lune, sent `ago`."""
    first_ms = int((clock.now() - ago).timestamp() * 1000)
    for begin in range(0, len(people), TOGETHER):
        some = people[begin : begin + TOGETHER]
        body = a_delivery(*(a_message_event(who, at_ms=first_ms + begin + at) for at, who in enumerate(some)))
        request = Request("POST", "/webhooks/instagram", body, tuple(signed_headers(body, secret).items()))
        [answer] = load.in_turn(url, request, times=1)
        assert answer.status == 200
