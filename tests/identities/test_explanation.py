"""The explanation of a contact's name, or of its absence."""

import pytest
from flask import Flask
from sqlalchemy import select

from app import clock
from app.db import transaction
from app.db.engine import db
from app.errors import NotFound
from app.identities import explanation, observations
from app.identities.failure_policy import STOP_AFTER, LookupFailure
from app.identities.observations import ProfileObservation
from app.instagram.errors import Reason, Scope
from app.models.account import Account
from app.models.identity import Identity, Source
from app.viewer import Role, Viewer
from tests.factories import LEA, SHY, an_account, people_wrote
from tests.identities.explanations import explain, log_call

NO_CONSENT = LookupFailure(Reason.CONSENT, Scope.CONTACT, "230", "User consent is required")
ELSEWHERE = Viewer(user_id=2, name="Oskar", role=Role.OPS, account_ids=frozenset({999}))


@pytest.fixture
def account(app: Flask) -> Account:
    account = an_account()
    people_wrote(LEA, SHY)
    return account


def test_a_short_id_says_why_and_what_can_be_done(account: Account) -> None:
    log_call(account, SHY, http_status=403, code="230", answer="User consent is required", took_ms=312)
    with transaction.write() as tx:
        answer = {"error": {"code": 230, "access_token": "IGAAcanaryOfATest0123456789"}}
        observations.record_failure(tx, account.id, SHY, NO_CONSENT, at=clock.now(), raw=answer)
    found = explain(account, SHY)
    assert found.meaning.verdict == "Instagram doesn’t share this profile yet"
    assert found.meaning.can_do.startswith("No action needed. Nametag looks them up again")
    assert [(step.label, step.value, step.used) for step in found.steps] == [
        ("Username", None, False),
        ("Name", None, False),
        ("Short ID", f"@user_{SHY[-6:]}", True),
    ]
    [call] = found.lookups
    assert (call.asked_by, call.http_status, call.code, call.took_ms) == ("Backfill", 403, "230", 312)
    assert (found.tries, found.most_tries) == (1, STOP_AFTER)
    assert found.refusals == 1
    assert found.seen_in is not None
    assert found.raw is not None
    assert "canary" not in found.raw


def test_a_username_says_where_it_came_from(account: Account) -> None:
    with transaction.write() as tx:
        observations.record(
            tx, account.id, ProfileObservation(LEA, "lea.moreau", "Léa", None, Source.CONVERSATIONS, clock.now())
        )
    found = explain(account, LEA)
    assert [(step.source, step.value, step.used) for step in found.steps] == [
        ("Conversations API", "@lea.moreau", True),
        ("Conversations API", "Léa", False),
        ("Last 6 digits of the Instagram ID", f"@user_{LEA[-6:]}", False),
    ]
    assert found.meaning.verdict == "Username found"


def test_a_contact_who_was_never_looked_up_has_a_reason_too(account: Account) -> None:
    assert explain(account, LEA).meaning.verdict == "Not looked up yet"


def test_what_a_viewer_may_not_see_is_not_there(account: Account) -> None:
    identity_id = db.session.execute(select(Identity.id).limit(1)).scalar_one()
    with pytest.raises(NotFound):
        explanation.explain(ELSEWHERE, identity_id)


def test_a_raw_answer_shows_invisible_characters_escaped_and_letters_as_they_are(account: Account) -> None:
    with transaction.write() as tx:
        answer = {"name": "\u202eLéa\u200b\u061c"}
        observations.record_failure(tx, account.id, SHY, NO_CONSENT, at=clock.now(), raw=answer)
    assert explain(account, SHY).raw == '{\n  "name": "\\u202eLéa\\u200b\\u061c"\n}'
