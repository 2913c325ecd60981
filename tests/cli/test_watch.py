"""Following a job: the progress bar, the result, and Ctrl-C."""

import json
import signal

import pytest
from flask import Flask

from app import clock, settings
from app.cli import watch
from app.models.account import Account
from app.models.run import RunKind, RunState
from app.runs import lifecycle, runner
from app.viewer import OPERATOR
from tests.cli.commands import nametag, refused
from tests.factories import GHOST, LEA, a_sandbox_account, people_wrote
from tests.support.processes import Processes, Sandbox
from tests.support.runs import run_of
from tests.support.waiting import until


@pytest.fixture
def account(meta: Sandbox) -> Account:
    account = a_sandbox_account()
    people_wrote(LEA, GHOST)
    return account


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "about 1 s"),
        (89, "about 89 s"),
        (90, "about 2 min"),
        (3_570, "about 1 h 00 min"),
        (3_900, "about 1 h 05 min"),
    ],
)
def test_a_length_of_time_is_as_exact_as_can_be_foretold(seconds: int, words: str) -> None:
    assert watch.length(seconds) == words


def test_what_a_job_came_to_is_told_by_reason(account: Account) -> None:
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    runner.run_slice(run_id)
    answer = nametag("jobs", "show", run_id, "--wait")
    assert answer.exit_code == 0
    told = dict(line.rsplit("  ", 1) for line in answer.stdout.splitlines()[1:])
    numbers = {name.strip(): value for name, value in told.items()}
    assert answer.stdout.startswith("Backfill profiles: some failed\n")
    assert [numbers[name] for name in ("total", "resolved", "failed", "skipped")] == ["2", "1", "1", "0"]
    assert sum(1 for name in told if name.startswith("  ")) == 1  # the one reason, under the failed


def test_a_program_waits_for_the_end_and_gets_json_alone(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    waits: list[float] = []

    def work(seconds: float) -> None:
        waits.append(seconds)
        runner.run_slice(run_id)

    monkeypatch.setattr(clock, "sleep", work)
    answer = nametag("jobs", "show", run_id, "--wait", "--json")
    facts = json.loads(answer.stdout)
    assert answer.exit_code == 0
    assert waits  # the job was still to be done
    assert facts == json.loads(nametag("jobs", "show", run_id, "--json").stdout)
    assert (facts["state"], facts["total"], facts["resolved"], facts["failed"]) == ("some_failed", 2, 1, 1)
    assert "Backfill profiles" in answer.stderr


def test_a_job_that_is_not_there_is_one_line(app: Flask) -> None:
    for more in ((), ("--json",)):
        refused(nametag("jobs", "show", "0123456789ab", "--wait", *more), status=1)


def test_a_job_without_a_working_access_token_says_which_account_to_reconnect(
    account: Account, meta: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    meta.post("faults", mode="190")
    runner.run_slice(run_id)

    def leave(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(clock, "sleep", leave)
    # Click shows a progress bar on terminals only, and offers no other switch.
    monkeypatch.setattr("click._termui_impl.isatty", lambda _: True)
    shown = nametag("jobs", "show", run_id, "--wait").stderr
    assert "waiting for a working access token: reconnect maison.lune" in shown
    assert "until" not in shown


@pytest.mark.parametrize("ignored", [False, True], ids=["in the foreground", "in the background"])
def test_ctrl_c_ends_the_watching_and_not_the_job(
    account: Account, processes: Processes, database: str, ignored: bool
) -> None:
    processes.share(settings.current())
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN if ignored else signal.default_int_handler)
    try:
        watching = processes.start("jobs", "show", run_id, "--wait")  # inherits an ignored signal
    finally:
        signal.signal(signal.SIGINT, before)
    until(lambda: "Backfill profiles" in watching.output(), "the bar is drawn")
    assert watching.end(signal.SIGINT) == 1
    assert f"The job is still running. To follow it: nametag jobs show {run_id} --wait" in watching.output()
    assert run_of(run_id).state is RunState.QUEUED
