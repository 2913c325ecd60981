"""Retrying a job: the page, the API and the command line ask the same contacts."""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select, update

from app import clock
from app.db import transaction
from app.db.engine import db
from app.erasure import contacts
from app.errors import Conflict, Invalid, NotFound
from app.identities import observations
from app.identities.failure_policy import LookupFailure
from app.instagram.errors import Reason, Scope
from app.models.account import Account, AccountState
from app.models.conversation import Conversation
from app.models.run import ItemState, Run, RunItem, RunKind, RunState
from app.runs import leases, lifecycle, retries
from app.runs.items import ItemOutcome
from app.viewer import OPERATOR
from tests.api.clients import an_api_client
from tests.cli.commands import nametag
from tests.factories import CAMILLE, GHOST, LEA, RUI, SHY, UNKNOWN_PERSON, an_account, people_wrote
from tests.support.runs import run_of, settle
from tests.web.browsing import HTMX, csrf, signed_in

FAILED = (
    (LEA, "timeout"),
    (CAMILLE, "timeout"),
    (GHOST, "not_visible"),
    (SHY, "consent"),
    (RUI, "refused"),
    (UNKNOWN_PERSON, "no_name"),
)
RECOVERABLE = {LEA, CAMILLE, GHOST, UNKNOWN_PERSON}


def ended_run(account: Account, kind: RunKind = RunKind.BACKFILL) -> str:
    run_id = lifecycle.start(OPERATOR, account.id, kind=kind)
    lease = leases.take(run_id, who="here")
    assert lease is not None
    for who, reason in FAILED:
        settle(lease, who, ItemOutcome(ItemState.FAILED, reason=reason, code=reason, calls=1))
    leases.release(lease)
    return run_id


def asked(run_id: str) -> set[str]:
    """Return the contacts that are open again, and set the job back to its end."""
    db.session.rollback()
    found = select(RunItem.ig_participant_id).where(RunItem.run_id == run_id, RunItem.state == ItemState.PENDING)
    again = set(db.session.scalars(found))
    with transaction.write() as tx:
        items = update(RunItem).where(RunItem.run_id == run_id)
        tx.execute(items.values(state=ItemState.FAILED, settled_at=clock.now()))
        run = update(Run).where(Run.id == run_id)
        tx.execute(run.values(state=RunState.DONE, failed=len(FAILED)))
    return again


@pytest.fixture
def account(app: Flask) -> Account:
    account = an_account()
    people_wrote(*(who for who, _ in FAILED))
    return account


@pytest.fixture
def run_id(account: Account) -> str:
    return ended_run(account)


@pytest.mark.parametrize(
    ("reasons", "expected"),
    [
        ((), RECOVERABLE),
        (("timeout",), {LEA, CAMILLE}),
        (("timeout", "consent"), {LEA, CAMILLE}),
        (("no_name",), {UNKNOWN_PERSON}),
    ],
)
def test_page_api_and_command_line_ask_the_same_contacts(
    app: Flask, run_id: str, reasons: tuple[str, ...], expected: set[str]
) -> None:
    page, crm = signed_in(app), an_api_client(app)
    token = csrf(page.get("/inbox"))

    def by_page() -> bool:
        form = {"reason": list(reasons), "view": "job"}
        answer = page.post(f"/jobs/{run_id}/retry", data=form, headers=HTMX | {"X-CSRFToken": token})
        return answer.status_code == 200

    def by_api() -> bool:
        body = {"json": {"reasons": list(reasons)}} if reasons else {}
        answer = crm.post(f"/api/jobs/{run_id}/retry", **body)
        return answer.status_code == 202 and answer.get_json()["retried"] == len(expected)

    def by_command() -> bool:
        options = [part for reason in reasons for part in ("--reason", reason)]
        return nametag("jobs", "retry", run_id, *options).exit_code == 0

    ways: tuple[Callable[[], bool], ...] = (by_page, by_api, by_command)
    for way in ways:
        assert way()
        assert asked(run_id) == expected


def test_a_reason_that_no_retry_can_help_is_refused_everywhere(app: Flask, run_id: str) -> None:
    with pytest.raises(Conflict, match="Left out 1 contact"):
        retries.retry(OPERATOR, run_id, ["consent"])
    assert an_api_client(app).post(f"/api/jobs/{run_id}/retry", json={"reasons": ["consent"]}).status_code == 409
    assert nametag("jobs", "retry", run_id, "--reason", "consent").exit_code == 1
    assert run_of(run_id).state is RunState.DONE


def test_an_unknown_reason_is_refused(app: Flask, run_id: str) -> None:
    with pytest.raises(Invalid):
        retries.retry(OPERATOR, run_id, ["x"])
    assert an_api_client(app).post(f"/api/jobs/{run_id}/retry", json={"reasons": ["x"]}).status_code == 422
    assert nametag("jobs", "retry", run_id, "--reason", "x").exit_code == 2


def test_a_contact_whose_later_lookup_shows_that_a_retry_cannot_help_is_left_out(account: Account, run_id: str) -> None:
    refused = LookupFailure(Reason.CONSENT, Scope.CONTACT, "230", "User consent is required")
    with transaction.write() as tx:
        observations.record_failure(tx, account.id, LEA, refused, at=clock.now(), raw=None)
    result = retries.retry(OPERATOR, run_id, ["timeout"])
    assert (result.contacts, result.left_out) == (1, {"consent": 1})
    assert asked(run_id) == {CAMILLE}


def test_a_deleted_contact_is_left_out(run_id: str) -> None:
    found = select(Conversation.id).where(Conversation.ig_participant_id == LEA)
    contacts.delete_contact(OPERATOR, db.session.scalars(found).one())
    result = retries.retry(OPERATOR, run_id, ["timeout"])
    assert (result.contacts, result.left_out) == (1, {"deleted": 1})


def test_a_job_of_an_account_that_is_being_removed_is_not_retried(account: Account, run_id: str) -> None:
    with transaction.write() as tx:
        tx.execute(update(Account).where(Account.id == account.id).values(state=AccountState.DELETING))
    with pytest.raises(Conflict, match="being removed"):
        retries.retry(OPERATOR, run_id)
    with transaction.write() as tx:
        tx.execute(Account.__table__.delete())  # type: ignore[attr-defined]
    with pytest.raises(NotFound):
        retries.retry(OPERATOR, run_id)
