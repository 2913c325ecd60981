"""Deleting a person leaves no trace of them, anywhere; others stay as they were."""

import pytest
from flask import Flask
from redis import Redis

from app.db import transaction
from app.errors import Forbidden, NotFound
from app.identities import resolve
from app.ingest import dead_letters, forget, receive, replay
from app.models.inbox import Account, AccountState
from app.models.run import Kind
from app.runs import execute, plan
from app.viewer import OPERATOR, Role, Viewer
from tests.bed.contents import places_of
from tests.bed.processes import Sandbox
from tests.cast import (
    ATELIER_NORD,
    CAMILLE,
    GHOST,
    LEA,
    a_delivery,
    a_message_event,
    a_sandbox_account,
    people_wrote,
    signed,
)


@pytest.fixture
def account(meta: Sandbox) -> Account:
    account = a_sandbox_account()
    people_wrote(LEA, CAMILLE, GHOST)
    resolve.waiting(account.id)
    execute.run_slice(plan.start(OPERATOR, account.id, kind=Kind.REFRESH))
    misaddressed = a_delivery(a_message_event(LEA, "A secret", recipient=ATELIER_NORD))
    early = {"sender": {"id": LEA}, "reaction": {"mid": "never", "action": "react", "emoji": "❤️"}}
    for body in (misaddressed, a_delivery(early)):
        receive.delivery(body, signed(body)["X-Hub-Signature-256"])
    return account


def cached(redis: Redis) -> list[bytes | str]:
    return list(redis.scan_iter(f"*{LEA}*"))


def test_nothing_of_the_person_is_left(account: Account, redis: Redis) -> None:
    written = places_of(LEA, "lea.moreau")
    assert {"conversations", "identities", "messages", "dead_letters", "waiting_effects"} <= written
    assert cached(redis)
    forget.person(OPERATOR, 1)
    assert places_of(LEA, "lea.moreau", "A secret") == set()
    assert not cached(redis)
    assert replay.everything(OPERATOR).landed == 0
    assert places_of(LEA) == set()


def test_others_stay_as_they_were(account: Account) -> None:
    before = places_of(CAMILLE, "Camille Roux")
    forget.person(OPERATOR, 1)
    assert places_of(CAMILLE, "Camille Roux") == before
    assert dead_letters.count(OPERATOR) == 0


def test_only_an_admin_of_the_account_may(account: Account) -> None:
    with pytest.raises(Forbidden):
        forget.person(Viewer(user_id=1, name="Nadia", role=Role.OPS), 1)
    for viewer, number in ((Viewer(2, "Oskar", Role.ADMIN, frozenset({999})), 1), (OPERATOR, 999)):
        with pytest.raises(NotFound):
            forget.person(viewer, number)
    assert "conversations" in places_of(LEA)


def test_a_deletion_goes_in_chunks(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forget, "CHUNK", 2)
    account = a_sandbox_account()
    people_wrote(*(str(10**15 + place) for place in range(5)))
    with transaction.write() as tx:
        tx.session.get_one(Account, account.id).state = AccountState.DELETING
    forget._account(account.id)
    assert places_of("1000000000000") == set()
