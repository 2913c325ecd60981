"""`nametag sync`."""

import json
import threading
from collections.abc import Iterator

import pytest
from flask import Flask

from app import clock
from app.db.engine import db
from app.runs import leases, runner
from tests.cli.commands import nametag, refused
from tests.factories import LEA, MAISON_LUNE, a_sandbox_account
from tests.support.processes import Sandbox


@pytest.fixture(autouse=True)
def account(meta: Sandbox) -> None:
    a_sandbox_account()
    meta.post("send", person=LEA, text="Bonjour")


@pytest.fixture
def worker(app: Flask) -> Iterator[None]:
    """Work on jobs in a thread, as a worker process does."""
    stop = threading.Event()

    def work() -> None:
        with app.app_context():
            while not stop.wait(0.02):
                for run_id, _ in leases.ready(clock.now()):
                    runner.run_slice(run_id)
                db.session.rollback()

    thread = threading.Thread(target=work)
    thread.start()
    yield
    stop.set()
    thread.join()


def test_a_sync_prints_its_plan_and_the_id_of_its_job() -> None:
    answer = nametag("sync", "--account-id", MAISON_LUNE)
    assert (answer.exit_code, len(answer.stdout)) == (0, len("0123456789ab\n"))
    assert "Conversation sync: All conversations; done by" in answer.stderr


@pytest.mark.usefixtures("worker")
def test_with_wait_it_prints_what_it_fetched() -> None:
    answer = nametag("sync", "--account-id", MAISON_LUNE, "--wait")
    assert answer.exit_code == 0
    assert "Conversation sync: done. 1 conversation, 1 new message." in answer.stdout
    again = json.loads(nametag("sync", "--account-id", MAISON_LUNE, "--limit", "5", "--json").stdout)
    assert (again["total"], again["newMessages"], again["state"]) == (1, 0, "done")
    assert again["notGiven"] == {"older": 0, "unsent": 0, "unreadable": 0}


@pytest.mark.usefixtures("worker")
def test_what_was_skipped_is_counted(meta: Sandbox) -> None:
    meta.request("PATCH", f"conversations/{LEA}", message={"from": {"username": "gone.user"}})
    answer = nametag("sync", "--account-id", MAISON_LUNE, "--wait")
    assert answer.exit_code == 0
    assert "1 that Meta does not give: 1 unreadable." in answer.stdout


def test_a_second_sync_is_refused_while_one_is_active() -> None:
    run_id = nametag("sync", "--account-id", MAISON_LUNE).stdout.strip()
    assert run_id in refused(nametag("sync", "--account-id", MAISON_LUNE), status=1)


@pytest.mark.parametrize("limit", ["0", "-1", "x"])
def test_a_limit_below_one_is_misuse(limit: str) -> None:
    assert nametag("sync", "--account-id", MAISON_LUNE, "--limit", limit).exit_code == 2


def test_an_unknown_account_is_misuse() -> None:
    assert "account" in refused(nametag("sync", "--account-id", "1"), status=2)
