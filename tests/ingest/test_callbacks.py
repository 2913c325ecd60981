"""What Meta asks in the name of an account's holder: only when it is signed, and with one effect."""

import base64
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app import settings
from app.db.engine import db
from app.errors import Forbidden, NotFound
from app.ingest import callbacks, forget
from app.models.inbox import Account, AccountState, Conversation, Deletion
from app.models.run import Kind, Run, RunState
from app.runs import plan
from app.viewer import OPERATOR
from tests.cast import ATELIER_NORD, LEA, MAISON_LUNE_APP_SCOPED, an_account, people_wrote

SAMPLES = Path(__file__).parents[1] / "samples"
DELETION: dict[str, Any] = json.loads((SAMPLES / "data-deletion-signed-request.json").read_text())
WITHDRAWAL: dict[str, Any] = json.loads((SAMPLES / "deauthorize-signed-request.json").read_text())


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def a_request(holder: object = MAISON_LUNE_APP_SCOPED, **changes: object) -> str:
    payload = encoded(json.dumps({"user_id": holder, "algorithm": "HMAC-SHA256", "issued_at": 1} | changes).encode())
    key = settings.current().meta_app_secrets[0].encode()
    return f"{encoded(hmac.new(key, payload.encode(), hashlib.sha256).digest())}.{payload}"


def account(number: int) -> Account:
    db.session.expire_all()
    return db.session.get_one(Account, number)


def test_the_samples_are_understood(app: Flask) -> None:
    an_account()
    secrets = (DELETION["app_secret"], WITHDRAWAL["instagram_app_secret"])
    with settings.using(meta_app_secrets=secrets):
        callbacks.deauthorized(WITHDRAWAL["request"]["form"]["signed_request"])
        assert callbacks.deletion_asked(DELETION["request"]["form"]["signed_request"])


@pytest.mark.parametrize("case", DELETION["negative_cases"], ids=lambda case: case["name"])
def test_what_is_not_meta_s_changes_nothing(app: Flask, case: dict[str, str]) -> None:
    ours = an_account()
    with settings.using(meta_app_secrets=(DELETION["app_secret"],)):
        for ask in (callbacks.deauthorized, callbacks.deletion_asked):
            with pytest.raises(Forbidden):
                ask(case["signed_request"])
    assert account(ours.id).state is AccountState.CONNECTED


@pytest.mark.parametrize(
    "request_",
    ["", ".", "a.b.c", "é.é", "x" * 20_000, a_request(algorithm="none"), a_request(None), a_request({"id": 1})],
)
def test_a_malformed_request_is_refused(app: Flask, request_: str) -> None:
    with pytest.raises(Forbidden):
        callbacks.deletion_asked(request_)


def test_a_withdrawn_access_destroys_the_token_and_ends_the_jobs(app: Flask) -> None:
    ours, other = an_account(), an_account(ATELIER_NORD)
    people_wrote(LEA)
    run_id = plan.start(OPERATOR, ours.id, kind=Kind.BACKFILL)
    callbacks.deauthorized(a_request())
    assert (account(ours.id).token, account(ours.id).state) == (None, AccountState.RECONNECT)
    assert account(ours.id).state_reason == callbacks.WITHDRAWN
    assert db.session.get_one(Run, run_id).state is RunState.CANCELED
    assert account(other.id).token is not None
    people_wrote(LEA)
    assert db.session.scalars(select(Conversation.unread_count)).one() == 2


def test_a_deletion_has_one_effect_and_one_code(app: Flask) -> None:
    an_account()
    other = an_account(ATELIER_NORD)
    people_wrote(LEA)
    code = callbacks.deletion_asked(a_request())
    assert callbacks.deletion_asked(a_request()) == code
    assert len(code) >= 22
    assert callbacks.deletion(code).done_at is None
    people_wrote(LEA)  # what arrives meanwhile is no longer stored
    forget.accounts()
    db.session.expire_all()
    assert callbacks.deletion(code).done_at is not None
    assert db.session.scalars(select(Account.id)).all() == [other.id]
    assert db.session.scalars(select(Conversation)).all() == []
    assert db.session.scalars(select(Deletion.account_id)).one() is None


def test_somebody_whom_nobody_knows_has_nothing_to_delete(app: Flask) -> None:
    code = callbacks.deletion_asked(a_request("24900000000000999"))
    assert callbacks.deletion(code).done_at is not None
    with pytest.raises(NotFound):
        callbacks.deletion("guessed")
