"""The contacts that a job could not resolve, and retrying them."""

import pytest
from sqlalchemy import update

from app import clock
from app.db import transaction
from app.errors import Conflict, NotFound
from app.identities import observations
from app.identities.observations import ProfileObservation
from app.instagram.errors import Reason
from app.models.account import Account
from app.models.identity import Identity, Source
from app.models.run import ItemState, RunKind
from app.runs import failures, items, leases, lifecycle, retries, runner
from app.runs.items import ItemOutcome
from app.viewer import OPERATOR, Role, Viewer
from tests.factories import ATELIER_NORD, GHOST, LEA, SHY, UNKNOWN_PERSON, a_sandbox_account, an_account, people_wrote
from tests.support.processes import Sandbox
from tests.support.runs import run_of, settle


@pytest.fixture
def account(meta: Sandbox) -> Account:
    return a_sandbox_account()


def test_each_failed_contact_shows_what_happened(account: Account) -> None:
    people_wrote(UNKNOWN_PERSON, SHY, LEA, GHOST)
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    runner.run_slice(run_id)
    found = failures.failed_contacts(OPERATOR, run_id)
    assert [(each.ig_participant_id, each.code, each.can_recover) for each in found] == [
        (GHOST, "9010", True),
        (SHY, "230", False),
        (UNKNOWN_PERSON, "empty", True),
    ]
    assert [each.display.text for each in found] == ["@user_000404", "@user_000230", "@user_883201"]
    assert {(each.tries, each.most_tries) for each in found} == {(1, 5)}
    assert all(each.identity_id and each.what_happened for each in found)
    assert failures.failed_contacts(OPERATOR, run_id, limit=1) == found[:1]


def test_a_contact_whose_lookup_crashes_workers_is_explained_too(account: Account) -> None:
    people_wrote(LEA)
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    lease = leases.take(run_id, who="here")
    assert lease is not None
    settle(lease, LEA, ItemOutcome(ItemState.FAILED, reason="worker_died", code="worker"))
    [found] = failures.failed_contacts(OPERATOR, run_id)
    assert found.what_happened == "The worker crashed three times while looking up this contact"


def test_the_same_id_at_another_account_is_another_contact(account: Account) -> None:
    people_wrote(GHOST)
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    runner.run_slice(run_id)
    named = ProfileObservation(GHOST, "another.ghost", None, None, Source.PROFILE, clock.now())
    elsewhere = an_account(ATELIER_NORD).id
    with transaction.write() as tx:
        observations.record(tx, elsewhere, named)
    [found] = failures.failed_contacts(OPERATOR, run_id)
    assert found.display.text == "@user_000404"


def test_automatic_tries_are_five_at_most_whatever_was_counted(account: Account) -> None:
    people_wrote(GHOST)
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    runner.run_slice(run_id)
    with transaction.write() as tx:
        tx.execute(update(Identity).values(failure_count=7))
    assert [each.tries for each in failures.failed_contacts(OPERATOR, run_id)] == [5]


def test_runs_of_other_accounts_are_not_found(account: Account) -> None:
    people_wrote(LEA)
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    elsewhere = Viewer(user_id=2, name="Oskar", role=Role.OPS, account_ids=frozenset({account.id + 1}))
    with pytest.raises(NotFound):
        failures.failed_contacts(elsewhere, run_id)


def test_a_retry_of_an_active_job_looks_its_failed_contacts_up_again_before_it_ends(account: Account) -> None:
    people_wrote(SHY, GHOST, LEA)
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    lease = leases.take(run_id, who="here")
    assert lease is not None
    settle(lease, GHOST, ItemOutcome(ItemState.FAILED, reason=Reason.NOT_VISIBLE, code="9010", calls=1))
    settle(lease, SHY, ItemOutcome(ItemState.FAILED, reason=Reason.CONSENT, code="230", calls=1))
    assert retries.retry(OPERATOR, run_id) == retries.RetryResult(1, {Reason.CONSENT: 1})
    assert sorted(items.due(lease)) == sorted([GHOST, LEA])
    assert run_of(run_id).failed == 1


def test_a_retry_that_can_help_no_contact_is_refused_with_the_reasons(account: Account) -> None:
    people_wrote(SHY)
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    runner.run_slice(run_id)
    with pytest.raises(Conflict, match=r"can be retried\. Left out 1 contact: .*share this profile"):
        retries.retry(OPERATOR, run_id)
