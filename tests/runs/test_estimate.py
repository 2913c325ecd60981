"""Calls and duration of a job, before it starts and while it runs."""

from datetime import timedelta

import pytest
from flask import Flask

from app import clock
from app.calls import circuit_breaker
from app.instagram.errors import GraphAPIError, Reason, Scope
from app.models.account import Account
from app.models.call import Purpose
from app.models.run import Run, RunKind, RunState
from app.runs import estimate, plan
from app.runs.selection import Selection
from app.viewer import OPERATOR
from tests.calls.lookups import made
from tests.factories import an_account, people_wrote


@pytest.fixture
def account(app: Flask, redis_server: str) -> Account:
    return an_account()


def a_run(account: Account, **values: int | float) -> Run:
    counted = dict.fromkeys(
        ("resolved", "fresh", "failed", "skipped", "calls", "scan_pages", "scan_contacts", "scanned_pages"), 0
    )
    values = counted | {"scanned_contacts": 0, "worked_seconds": 0.0, "total": 0} | values
    return Run(id="r", account_id=account.id, kind=RunKind.BACKFILL, state=RunState.RUNNING, **values)


def test_a_job_without_contacts_costs_nothing(account: Account) -> None:
    planned = plan.get_plan(OPERATOR, Selection(account.id, RunKind.BACKFILL))
    assert (planned.people, planned.calls, planned.seconds) == (0, 0, 0)


def test_pages_are_counted_before_single_lookups(account: Account) -> None:
    people_wrote(*(str(10**15 + place) for place in range(100)))
    found = plan.get_plan(OPERATOR, Selection(account.id, RunKind.BACKFILL))
    assert (found.people, found.calls) == (100, 2 + 15)
    assert found.seconds == pytest.approx(2 * 0.6 + 15 * 0.5, abs=1)


def test_a_used_up_hour_is_part_of_the_time(account: Account) -> None:
    made(account.id, 160, ago_seconds=1800, purpose=Purpose.BACKFILL)
    people_wrote(*(str(10**15 + place) for place in range(4)))
    found = plan.get_plan(OPERATOR, Selection(account.id, RunKind.BACKFILL))
    assert found.seconds is not None
    assert 1790 < found.seconds < 1820


def test_a_run_at_work_counts_its_own_speed_and_its_own_luck(account: Account) -> None:
    """Half of the pages are read and named three quarters of their people; forty were asked for alone."""
    swept = a_run(
        account, total=400, scan_pages=4, scan_contacts=200, scanned_pages=2, scanned_contacts=75, resolved=75
    )
    alone = 325 - 100 * 0.75
    assert estimate.seconds_left(swept) == pytest.approx(2 * 0.6 + alone * 0.5 + _pause(2 + alone), abs=2)
    asked = a_run(account, total=100, resolved=30, failed=10, calls=60, worked_seconds=80.0)
    assert estimate.seconds_left(asked) == pytest.approx(60 * 2.0, abs=2)


def test_a_pause_is_part_of_the_time_left(account: Account) -> None:
    """All who are settled were fresh and cost nothing; the run waits for a stop, or until it resumes."""
    paused = a_run(account, total=16, fresh=8, worked_seconds=0.1)
    assert estimate.seconds_left(paused) == pytest.approx(8 * 0.5, abs=1)
    limited = GraphAPIError(Scope.ACCOUNT, Reason.RATE_LIMITED, "613", retry_at=clock.now() + timedelta(minutes=13))
    circuit_breaker.record_failure(account.id, limited, token=None)
    assert estimate.seconds_left(paused) == pytest.approx(13 * 60 + 4, abs=2)
    paused.resume_at = clock.now() + timedelta(minutes=40)
    assert estimate.seconds_left(paused) == pytest.approx(40 * 60 + 4, abs=2)


def _pause(calls: float) -> float:
    return 3605.0 if calls > 160 else 0.0
