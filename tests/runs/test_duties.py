"""Hourly and daily duties: due by the table, once among several schedulers."""

from datetime import timedelta

from flask import Flask

from app.runs import duties
from app.runs.duties import INTERRUPTED_AFTER, DutyOutcome
from tests.support.at_once import at_once
from tests.support.frozen_clock import FrozenClock

DAY = timedelta(days=1)


def test_a_duty_is_due_at_first_and_then_once_in_its_period(app: Flask, frozen_clock: FrozenClock) -> None:
    due = []
    for hours in (0, 1, 22, 1, 1, 23):
        frozen_clock.forward(hours=hours)
        due.append(duties.claim("health.prove_all", DAY))
        duties.finish("health.prove_all", DutyOutcome())
    assert due == [True, False, False, True, False, True]


def test_a_duty_with_no_work_at_first_waits_for_one_period(app: Flask, frozen_clock: FrozenClock) -> None:
    assert not duties.claim("ticker.purge", DAY, at_first=False)
    frozen_clock.forward(hours=23)
    assert not duties.claim("ticker.purge", DAY, at_first=False)
    frozen_clock.forward(hours=1)
    assert duties.claim("ticker.purge", DAY, at_first=False)


def test_one_of_several_schedulers_runs_a_duty(app: Flask, frozen_clock: FrozenClock) -> None:
    claimed = list[bool]()
    for _ in range(3):
        claimed += at_once(app, 4, lambda: duties.claim("search.tidy", DAY))
        frozen_clock.forward(days=1)
    assert sorted(claimed) == [False] * 9 + [True] * 3


def test_clocks_that_differ_a_little_do_not_repeat_a_duty_and_a_wrong_one_does_not_stop_it(
    app: Flask, frozen_clock: FrozenClock
) -> None:
    frozen_clock.forward(days=40)
    assert duties.claim("tokens.refresh_due", DAY)
    duties.finish("tokens.refresh_due", DutyOutcome())
    frozen_clock.forward(seconds=-5)
    assert not duties.claim("tokens.refresh_due", DAY)
    frozen_clock.forward(days=-40)
    assert duties.claim("tokens.refresh_due", DAY)


def test_a_duty_whose_scheduler_was_killed_runs_again_before_its_period_is_over(
    app: Flask, frozen_clock: FrozenClock
) -> None:
    assert duties.claim("subscription-check", DAY)
    frozen_clock.forward(seconds=INTERRUPTED_AFTER.total_seconds() - 1)
    assert not duties.claim("subscription-check", DAY)
    frozen_clock.forward(seconds=1)
    assert duties.claim("subscription-check", DAY)
    duties.finish("subscription-check", DutyOutcome())
    frozen_clock.forward(hours=1)
    assert not duties.claim("subscription-check", DAY)
