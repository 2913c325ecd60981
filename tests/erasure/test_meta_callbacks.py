"""Deauthorize and data deletion callbacks: accepted only with Meta's signature, and carried out once."""

import hashlib
import hmac
import json
import string
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text, update

from app import settings
from app.accounts import connect
from app.db import transaction
from app.db.engine import db
from app.erasure import accounts, meta_callbacks, owner_requests
from app.errors import Forbidden, NotFound
from app.models.account import Account, AccountState
from app.models.conversation import Conversation
from app.models.erasure import OwnerRequest
from app.models.run import Run, RunKind, RunState
from app.runs import lifecycle
from app.viewer import OPERATOR
from tests.factories import (
    ATELIER_NORD,
    LEA,
    MAISON_LUNE,
    MAISON_LUNE_APP_SCOPED,
    a_delivery,
    a_message_event,
    an_account,
    people_wrote,
)
from tests.support import snapshot
from tests.support.signed_requests import a_signed_request, encoded
from tests.support.webhooks import receive_webhook

LETTERS = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
SAMPLES = Path(__file__).parents[1] / "samples"
DELETION: dict[str, Any] = json.loads((SAMPLES / "data-deletion-signed-request.json").read_text())
DEAUTHORIZATION: dict[str, Any] = json.loads((SAMPLES / "deauthorize-signed-request.json").read_text())


def account(number: int) -> Account:
    db.session.expire_all()
    return db.session.get_one(Account, number)


def test_meta_s_samples_are_accepted(app: Flask) -> None:
    an_account()
    secrets = (DELETION["app_secret"], DEAUTHORIZATION["instagram_app_secret"])
    with settings.using(meta_app_secrets=secrets):
        meta_callbacks.deauthorize(DEAUTHORIZATION["request"]["form"]["signed_request"])
        assert meta_callbacks.request_deletion(DELETION["request"]["form"]["signed_request"])


@pytest.mark.parametrize("case", DELETION["negative_cases"], ids=lambda case: case["name"])
def test_a_request_that_meta_did_not_sign_changes_nothing(app: Flask, case: dict[str, str]) -> None:
    ours = an_account()
    with settings.using(meta_app_secrets=(DELETION["app_secret"],)):
        for ask in (meta_callbacks.deauthorize, meta_callbacks.request_deletion):
            with pytest.raises(Forbidden):
                ask(case["signed_request"])
    assert account(ours.id).state is AccountState.CONNECTED


def validly_signed(payload: str) -> str:
    """Return a request with a valid signature over any payload."""
    key = settings.current().meta_app_secrets[0].encode()
    return f"{encoded(hmac.new(key, payload.encode(), hashlib.sha256).digest())}.{payload}"


def malformed() -> list[str]:
    right = a_signed_request()
    signature, _, payload = right.partition(".")
    unnamed = encoded(json.dumps({"user_id": MAISON_LUNE_APP_SCOPED}).encode())
    twin = LETTERS[LETTERS.index(signature[-1]) ^ 1]  # decodes to the same bytes: its last two bits carry nothing
    return [
        f"{signature[:-1]}{twin}.{payload}",
        *("", ".", "a.b.c", "é.é", "x" * 20_000, f".{payload}", f"{signature}.", f"{right}.", f"{right}.{payload}"),
        *(
            a_signed_request(algorithm=other)
            for other in ("none", "None", "", None, "HS256", "hmac-sha256", ["HMAC-SHA256"])
        ),
        *(
            validly_signed(unnamed),
            a_signed_request(None),
            a_signed_request({"id": 1}),
            a_signed_request(""),
            a_signed_request(filler="x" * 16_384),
        ),
        *(f"{signature}=.{payload}", f"{right}=", f"{right}==", right.replace(".", "=."), f" {right}", f"{right}\n"),
        *(
            validly_signed(payload + "="),
            validly_signed("é"),
            validly_signed(encoded(b"[]")),
            validly_signed(encoded(b"[" * 9_000)),
        ),
        validly_signed(encoded(b"\xff\xfe")),
    ]


def test_a_malformed_request_is_refused_and_changes_nothing(app: Flask) -> None:
    an_account()
    before = snapshot.tables()
    for request in malformed():
        for ask in (meta_callbacks.deauthorize, meta_callbacks.request_deletion):
            with pytest.raises(Forbidden):
                ask(request)
    assert snapshot.tables() == before


def test_a_deauthorization_deletes_the_token_and_cancels_the_jobs(app: Flask) -> None:
    ours, other = an_account(), an_account(ATELIER_NORD)
    people_wrote(LEA)
    run_id = lifecycle.start(OPERATOR, ours.id, kind=RunKind.BACKFILL)
    meta_callbacks.deauthorize(a_signed_request())
    assert (account(ours.id).token, account(ours.id).state) == (None, AccountState.RECONNECT)
    assert account(ours.id).state_reason == owner_requests.WITHDRAWN
    assert db.session.get_one(Run, run_id).state is RunState.CANCELED
    assert account(other.id).token is not None
    people_wrote(LEA)
    assert db.session.scalars(select(Conversation.unread_count)).one() == 2


@pytest.mark.parametrize("matches", [True, False])
def test_a_deauthorization_that_is_sent_again_leaves_a_reconnected_account_alone(app: Flask, matches: bool) -> None:
    ours = an_account() if matches else None
    assert meta_callbacks.deauthorize(a_signed_request()) is matches
    if ours is None:
        owner_requests.close(OPERATOR, db.session.scalars(select(OwnerRequest.code)).one())
    connect.add(OPERATOR, MAISON_LUNE, login="instagram", token="token-of-a-new-authorization", check=False)
    with transaction.write() as tx:
        tx.execute(update(Account).values(ig_app_scoped_id=MAISON_LUNE_APP_SCOPED))
    before = snapshot.tables()
    assert not meta_callbacks.deauthorize(a_signed_request())
    assert snapshot.tables() == before
    assert meta_callbacks.deauthorize(a_signed_request(issued_at=2))  # the owner withdrew the access once more
    assert account(1).state is AccountState.RECONNECT


def test_a_deletion_request_is_carried_out_once_and_has_one_code(app: Flask) -> None:
    ours, other = an_account().id, an_account(ATELIER_NORD).id
    people_wrote(LEA)
    body = a_delivery(a_message_event(LEA, recipient=ATELIER_NORD), ig_account_id=ATELIER_NORD)
    receive_webhook(body)
    run_id = lifecycle.start(OPERATOR, ours, kind=RunKind.BACKFILL)
    theirs = of_account(other)
    assert len(theirs) > 1
    code = meta_callbacks.request_deletion(a_signed_request())
    assert meta_callbacks.request_deletion(a_signed_request()) == code
    assert len(code) >= 22
    assert meta_callbacks.get_deletion(code).done_at is None
    assert account(ours).token is None
    assert db.session.get_one(Run, run_id).state is RunState.CANCELED
    people_wrote(LEA)  # not stored: the account is being deleted
    accounts.delete_pending()
    db.session.expire_all()
    assert meta_callbacks.get_deletion(code).done_at is not None
    assert of_account(ours) == {}
    assert snapshot.places_of(LEA) <= set(theirs)
    assert of_account(other) == theirs
    assert db.session.scalars(select(OwnerRequest.account_id)).one() is None


def of_account(account_id: int) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of one account as it is stored, by table."""
    db.session.rollback()
    found: dict[str, list[tuple[Any, ...]]] = {}
    for table in db.metadata.sorted_tables:
        column = "id" if table.name == "accounts" else "account_id"
        where = f"{column} = {account_id}"
        if "identity_id" in table.c:
            where = f"identity_id IN (SELECT id FROM identities WHERE account_id = {account_id})"
        if not {column, "identity_id"}.isdisjoint(table.c.keys()):
            stored = db.session.execute(text(f"SELECT * FROM {table.name} WHERE {where}")).all()
            found |= {table.name: list(map(tuple, stored))} if stored else {}
    return found


def test_a_request_that_matches_no_account_stays_open(app: Flask) -> None:
    code = meta_callbacks.request_deletion(a_signed_request("24900000000000999"))
    assert meta_callbacks.get_deletion(code).done_at is None
    accounts.delete_pending()
    assert meta_callbacks.get_deletion(code).done_at is None
    with pytest.raises(NotFound):
        meta_callbacks.get_deletion("guessed")


def test_a_request_signed_with_the_instagram_app_secret_is_accepted(app: Flask) -> None:
    an_account()
    with settings.using(meta_app_secrets=("instagram-app-secret-of-a-test",)):
        request = a_signed_request()
    with pytest.raises(Forbidden):
        meta_callbacks.deauthorize(request)
    with settings.using(meta_instagram_app_secret="instagram-app-secret-of-a-test"):
        meta_callbacks.deauthorize(request)
    assert account(1).state is AccountState.RECONNECT
