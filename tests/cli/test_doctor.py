"""`nametag doctor`: lines, JSON, and the exit status."""

import json

import pytest
from flask import Flask

from app import heartbeats, queue
from tests.cli.commands import nametag
from tests.factories import an_account


def alive() -> None:
    for part in (heartbeats.SCHEDULER, *(task.queue for task in queue.TASKS.values())):
        heartbeats.reset()
        heartbeats.beat(part)


@pytest.mark.usefixtures("redis_server")
def test_what_is_wrong_ends_with_one_and_says_how_to_mend_it(app: Flask) -> None:
    an_account()
    answer = nametag("doctor")
    assert answer.exit_code == 1
    assert "ERROR    scheduler: No heartbeat yet\n         Start it with `nametag scheduler`" in answer.stdout
    alive()
    answer = nametag("doctor")
    assert (answer.exit_code, "ERROR" in answer.stdout) == (0, False)


@pytest.mark.usefixtures("redis_server")
def test_programs_read_the_same_as_json(app: Flask) -> None:
    answer = nametag("doctor", "--json")
    found = {each["check"]: each for each in json.loads(answer.stdout)}
    assert found["database"]["level"] == "ok"
    assert (found["scheduler"]["level"], answer.exit_code) == ("error", 1)
