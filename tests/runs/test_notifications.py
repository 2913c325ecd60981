"""Announcements of the jobs page."""

import pytest
from flask import Flask
from sqlalchemy import update

from app.db import transaction
from app.models.run import Run, RunKind, RunState
from app.runs import lifecycle, notifications, progress
from app.runs.notifications import Notification
from app.viewer import OPERATOR, Role, Viewer
from tests.factories import CAMILLE, GHOST, LEA, SHY, an_account, people_wrote


@pytest.fixture
def run_id(app: Flask) -> str:
    account = an_account()
    people_wrote(LEA, CAMILLE, GHOST, SHY)
    return lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)


def changed(run_id: str, **values: object) -> None:
    with transaction.write() as tx:
        tx.execute(update(Run).where(Run.id == run_id).values(**values))


def notified(words: list[str]) -> tuple[Notification, list[str]]:
    runs = progress.active_runs(OPERATOR)
    return notifications.changes_since(OPERATOR, words, runs), [notifications.run_state_key(run) for run in runs]


def test_each_quarter_and_each_failure_is_announced_once(run_id: str) -> None:
    first, words = notified([])
    assert first == Notification(heard="Backfill profiles started for maison.lune.")
    assert notified(words)[0] == Notification()
    changed(run_id, resolved=1)
    quarter, words = notified(words)
    assert quarter == Notification(heard="Backfill profiles: 25% done, 1 of 4.")
    changed(run_id, failed=2)
    later, words = notified(words)
    assert later == Notification(heard="Backfill profiles: 75% done, 3 of 4.", failed=True)
    assert notified(words)[0] == Notification()


@pytest.mark.parametrize(("state", "verb"), [(RunState.DONE, "finished"), (RunState.CANCELED, "was canceled")])
def test_the_end_is_announced_with_its_totals(run_id: str, state: RunState, verb: str) -> None:
    _, words = notified([])
    changed(run_id, state=state, resolved=3, failed=1)
    assert notified(words)[0] == Notification(ended=f"Backfill profiles {verb}: 3 resolved, 1 failed.")


def test_jobs_without_access_are_not_announced(run_id: str) -> None:
    _, words = notified([])
    changed(run_id, state=RunState.DONE)
    elsewhere = Viewer(user_id=2, name="Oskar", role=Role.OPS, account_ids=frozenset({999}))
    assert notifications.changes_since(elsewhere, [*words, "nonsense"], []) == Notification()
