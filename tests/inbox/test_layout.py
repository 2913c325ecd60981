"""The layout around every page: account selection, counts, active jobs, budget."""

import pytest
from flask import Flask

from app import settings
from app.db import transaction
from app.errors import NotFound
from app.inbox import layout
from app.inbox.layout import AccountSelection
from app.models.account import Account
from app.models.call import Purpose
from app.models.run import Run, RunKind, RunState
from app.runs import lifecycle
from app.viewer import OPERATOR, Role, Viewer, VisibleAccount
from tests.calls.lookups import made
from tests.factories import ATELIER_NORD, CAMILLE, LEA, MAISON_LUNE, an_account, people_wrote


@pytest.fixture
def account(app: Flask) -> Account:
    return an_account()


def selected(*accounts: Account, ig_account_id: str | None = None, account_id: int | None = None) -> AccountSelection:
    """Select one of these accounts."""
    choices = tuple(VisibleAccount(each.id, each.ig_account_id, each.username or "", False) for each in accounts)
    return layout.select_account(choices, ig_account_id=ig_account_id, account_id=account_id)


def test_before_the_first_account_there_is_nothing_to_choose(app: Flask) -> None:
    at = selected()
    assert (at.account_id, at.ig_account_id, at.accounts) == (None, "", ())
    around = layout.get_layout(OPERATOR, at)
    assert (around.account, around.budget, around.unread_count, around.running) == (None, None, 0, False)


def test_the_account_connected_first_is_chosen_unless_another_is_named(account: Account) -> None:
    other = an_account(ATELIER_NORD)
    assert selected(account, other).account_id == account.id
    assert selected(account, other, ig_account_id=ATELIER_NORD).account_id == other.id
    assert selected(account, other, account_id=other.id).ig_account_id == ATELIER_NORD
    choices = layout.get_layout(OPERATOR, selected(account, other, ig_account_id=ATELIER_NORD)).accounts
    assert [(choice.name, choice.current) for choice in choices] == [("maison.lune", False), ("atelier.nord", True)]


def test_accounts_that_may_not_be_seen_do_not_exist(account: Account) -> None:
    other = an_account(ATELIER_NORD)
    with pytest.raises(NotFound):
        selected(other, ig_account_id=MAISON_LUNE)
    with pytest.raises(NotFound):
        selected(other, account_id=account.id)


def test_counts_are_the_chosen_account_s(account: Account) -> None:
    other = an_account(ATELIER_NORD)
    people_wrote(LEA, CAMILLE)
    assert layout.get_layout(OPERATOR, selected(account)).unread_count == 2
    assert layout.get_layout(OPERATOR, selected(account, other, account_id=other.id)).unread_count == 0


def test_a_job_that_is_not_over_shows(account: Account) -> None:
    people_wrote(LEA)
    lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    assert layout.get_layout(OPERATOR, selected(account)).running


def test_neither_another_account_s_job_nor_one_that_is_over_shows(account: Account) -> None:
    other = an_account(ATELIER_NORD)
    people_wrote(LEA)
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    assert not layout.get_layout(OPERATOR, selected(account, other, account_id=other.id)).running
    with transaction.write() as tx:
        tx.session.get_one(Run, run_id).state = RunState.DONE
    assert not layout.get_layout(OPERATOR, selected(account)).running


def test_the_budget_is_shown_as_long_as_it_can_be_known(account: Account) -> None:
    made(account.id, 3, purpose=Purpose.LIVE)
    meter = layout.get_layout(OPERATOR, selected(account)).budget
    assert meter is not None
    assert (meter.used, meter.limit) == (3, 200)
    with settings.using(redis_url="unix:///nowhere/redis.sock"):
        assert layout.get_layout(OPERATOR, selected(account)).budget is None


@pytest.mark.parametrize(("role", "operates"), [(Role.AGENT, False), (Role.OPS, True), (Role.ADMIN, True)])
def test_what_a_role_may_do_shows(account: Account, role: Role, operates: bool) -> None:
    viewer = Viewer(user_id=2, name="nadia.kessler@example.com", role=role)
    around = layout.get_layout(viewer, selected(account))
    assert (around.operates, around.role, around.viewer_initials) == (operates, role, "NK")
