"""`nametag backfill-profiles`, `refresh-identities` and `jobs …`."""

import json
import re
import threading
from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import func, select

from app.db.engine import db
from app.models.account import Account
from app.models.run import Run, RunKind, RunState
from app.runs import lifecycle, runner
from app.viewer import OPERATOR
from tests.cli.commands import nametag, refused
from tests.factories import GHOST, LEA, MAISON_LUNE, SHY, a_sandbox_account, people_wrote
from tests.support.processes import Sandbox
from tests.support.runs import run_of
from tests.support.waiting import until


@pytest.fixture
def account(meta: Sandbox) -> Account:
    account = a_sandbox_account()
    people_wrote(LEA, GHOST)
    return account


@pytest.fixture
def working(app: Flask) -> Iterator[None]:
    """A thread that works on every job, as a worker does."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.05):
            with app.app_context():
                for run_id in db.session.scalars(select(Run.id)).all():
                    runner.run_slice(run_id)

    thread = threading.Thread(target=work)
    thread.start()
    yield
    stop.set()
    thread.join()


def runs() -> int:
    db.session.rollback()
    return db.session.scalars(select(func.count()).select_from(Run)).one()


@pytest.mark.parametrize(
    ("command", "kind"), [("backfill-profiles", RunKind.BACKFILL), ("refresh-identities", RunKind.REFRESH)]
)
def test_a_start_prints_the_id_alone(account: Account, command: str, kind: RunKind) -> None:
    answer = nametag(command, "--account-id", MAISON_LUNE)
    assert answer.exit_code == 0
    assert re.fullmatch(r"[0-9a-f]{12}\n", answer.stdout)
    assert run_of(answer.stdout.strip()).kind is kind


@pytest.mark.usefixtures("working")
def test_waiting_shows_the_plan_the_progress_and_what_it_came_to(account: Account) -> None:
    answer = nametag("backfill-profiles", "--account-id", MAISON_LUNE, "--wait")
    assert answer.exit_code == 0
    assert re.match(
        r"Backfill profiles: 2 have not been looked up yet and may get a name; "
        r"done by \d\d:\d\d UTC with 2 calls\.\n",
        answer.stderr,
    )
    run_id, title, *facts = answer.stdout.splitlines()
    assert (run_id, title) == (run_of(run_id).id, "Backfill profiles: some failed")
    assert facts[0].split() == ["total", "2"]


def test_waiting_for_a_run_that_is_cancelled_fails(account: Account, app: Flask) -> None:
    def cancel() -> None:
        with app.app_context():
            until(runs, "the run has started")
            lifecycle.cancel(OPERATOR, db.session.scalars(select(Run.id)).one())

    thread = threading.Thread(target=cancel)
    thread.start()
    answer = nametag("backfill-profiles", "--account-id", MAISON_LUNE, "--wait")
    thread.join()
    assert answer.exit_code == 1


@pytest.mark.parametrize("command", ["backfill-profiles", "refresh-identities"])
def test_an_unknown_account_is_misuse_and_starts_nothing(account: Account, command: str) -> None:
    assert "account" in refused(nametag(command, "--account-id", "1"), status=2)
    assert runs() == 0


@pytest.mark.parametrize("size", ["0", "101", "-1", "ten"])
def test_a_batch_size_outside_1_to_100_is_misuse_and_starts_nothing(account: Account, size: str) -> None:
    answer = nametag("backfill-profiles", "--account-id", MAISON_LUNE, "--batch-size", size)
    assert (answer.exit_code, answer.stdout) == (2, "")
    assert "100" in answer.stderr or "integer" in answer.stderr
    assert runs() == 0


def test_a_second_start_names_the_running_one(account: Account) -> None:
    first = nametag("backfill-profiles", "--account-id", MAISON_LUNE).stdout.strip()
    second = nametag("backfill-profiles", "--account-id", MAISON_LUNE)
    assert (second.exit_code, second.stdout) == (1, "")
    line = second.stderr.splitlines()[-1]
    assert first in line
    assert "has not ended" in line


def test_jobs_are_listed_shown_cancelled_and_retried(account: Account) -> None:
    run_id = nametag("backfill-profiles", "--account-id", MAISON_LUNE).stdout.strip()
    runner.run_slice(run_id)
    assert nametag("jobs", "list").stdout.splitlines()[1].startswith(f"{run_id}  backfill  maison.lune  some_failed")
    assert [each["id"] for each in json.loads(nametag("jobs", "list", "--json").stdout)] == [run_id]
    shown = json.loads(nametag("jobs", "show", run_id, "--json").stdout)
    assert (shown["resolved"], shown["failed"], shown["total"]) == (1, 1, 2)
    assert nametag("jobs", "retry", run_id).stdout == f"Job {run_id}: Retrying 1 contact.\n"
    assert nametag("jobs", "cancel", run_id).stdout == (
        f"Canceling job {run_id}. It stops after the current contact.\n"
    )
    assert run_of(run_id).state in (RunState.CANCELED, RunState.CANCELING)


def test_a_retry_says_how_many_contacts_it_leaves_out_and_why(account: Account) -> None:
    people_wrote(SHY)
    run_id = nametag("backfill-profiles", "--account-id", MAISON_LUNE).stdout.strip()
    runner.run_slice(run_id)
    printed = nametag("jobs", "retry", run_id).stdout
    assert printed.startswith(
        f"Job {run_id}: Retrying 1 contact. Left out 1 contact: Instagram doesn’t share this profile"
    )


def test_the_contacts_of_a_job_are_listed_as_table_json_and_csv(account: Account) -> None:
    run_id = nametag("backfill-profiles", "--account-id", MAISON_LUNE).stdout.strip()
    runner.run_slice(run_id)
    table = nametag("jobs", "items", run_id).stdout
    assert "@user_000011" in table
    assert "@lea.moreau" in table
    [ghost] = json.loads(nametag("jobs", "items", run_id, "--reason", "not_visible", "--json").stdout)
    assert (ghost["participantPlatformId"], ghost["state"]) == (GHOST, "failed")
    heads, row = nametag("jobs", "items", run_id, "--state", "failed", "--csv").stdout.splitlines()
    assert heads.startswith("\ufeffparticipantPlatformId,")
    assert "not_visible" in row
    assert nametag("jobs", "items", run_id, "--reason", "x").exit_code == 2


def test_a_job_is_paused_and_resumed(account: Account) -> None:
    run_id = nametag("backfill-profiles", "--account-id", MAISON_LUNE).stdout.strip()
    assert nametag("jobs", "pause", run_id).stdout == (
        f"Paused job {run_id}. To continue it: nametag jobs resume {run_id}\n"
    )
    assert run_of(run_id).state is RunState.PAUSED
    assert "is paused" in nametag("backfill-profiles", "--account-id", MAISON_LUNE).stderr
    assert nametag("jobs", "resume", run_id).stdout == f"Resumed job {run_id}.\n"
    assert run_of(run_id).state is RunState.QUEUED


@pytest.mark.parametrize("command", ["show", "cancel", "retry", "items", "pause", "resume"])
def test_an_unknown_job_is_one_line(app: Flask, command: str) -> None:
    refused(nametag("jobs", command, "0123456789ab"), status=1)


def test_a_backfill_is_limited_to_days_and_a_refresh_to_a_filter(account: Account) -> None:
    run_id = nametag("backfill-profiles", "--account-id", MAISON_LUNE, "--days", "3").stdout.strip()
    assert (run_of(run_id).days, run_of(run_id).total) == (3, 2)
    run_id = nametag("refresh-identities", "--account-id", MAISON_LUNE, "--search", LEA).stdout.strip()
    assert (run_of(run_id).scope, run_of(run_id).total) == ("filter", 1)
