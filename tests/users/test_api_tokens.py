"""API tokens: what is stored, what they may do, and how they end."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from app.db.engine import db
from app.errors import Forbidden, Invalid, NotFound
from app.models.user import ApiToken
from app.users import api_tokens
from app.users.api_tokens import PREFIX, TokenScope
from app.viewer import OPERATOR, Role, Viewer
from tests.support.frozen_clock import FrozenClock

OPS = Viewer(user_id=1, name="Oskar", role=Role.OPS)


def test_only_the_digest_is_kept(app: Flask) -> None:
    secret = api_tokens.create(OPERATOR, "crm", ["read"])
    assert secret.startswith(PREFIX)
    assert len(secret) >= len(PREFIX) + 40
    row = db.session.scalars(select(ApiToken)).one()
    assert secret.encode() not in row.digest
    assert all(secret not in str(value) for value in vars(row).values())


def test_a_token_knows_what_it_may_do(app: Flask) -> None:
    reader = api_tokens.authenticate(api_tokens.create(OPERATOR, "reader", ["read"], [7]))
    worker = api_tokens.authenticate(api_tokens.create(OPERATOR, "worker", ["read", "jobs"]))
    assert reader is not None
    assert worker is not None
    assert (reader.viewer().role, reader.viewer().account_ids) == (Role.AGENT, frozenset({7}))
    assert (worker.viewer().role, worker.viewer().account_ids, worker.viewer().name) == (Role.OPS, None, "token worker")
    assert [each.scopes for each in api_tokens.list_tokens(OPERATOR)] == [
        (TokenScope.READ,),
        (TokenScope.JOBS, TokenScope.READ),
    ]


def test_what_is_no_token_is_none(app: Flask) -> None:
    api_tokens.create(OPERATOR, "crm", ["read"])
    for wrong in ("", PREFIX, PREFIX + "x" * 43, "é\ud83d"):
        assert api_tokens.authenticate(wrong) is None


def test_a_revoked_token_is_worthless_and_stays_in_the_list(app: Flask) -> None:
    secret = api_tokens.create(OPERATOR, "crm", ["read"])
    api_tokens.revoke(OPERATOR, "crm")
    assert api_tokens.authenticate(secret) is None
    assert api_tokens.list_tokens(OPERATOR)[0].revoked_at is not None
    with pytest.raises(NotFound):
        api_tokens.revoke(OPERATOR, "crm")


def test_its_last_use_is_noted_by_the_minute(app: Flask, frozen_clock: FrozenClock) -> None:
    secret = api_tokens.create(OPERATOR, "crm", ["read"])
    api_tokens.authenticate(secret)
    first = frozen_clock.at
    frozen_clock.at += timedelta(seconds=30)
    api_tokens.authenticate(secret)
    assert api_tokens.list_tokens(OPERATOR)[0].last_used_at == first


@pytest.mark.parametrize(("name", "scopes"), [("", ["read"]), ("crm", []), ("crm", ["tea"]), ("crm", ["read", "x"])])
def test_names_and_scopes_are_checked(app: Flask, name: str, scopes: list[str]) -> None:
    with pytest.raises(Invalid):
        api_tokens.create(OPERATOR, name, scopes)


def test_names_are_taken_once_and_admins_alone_make_them(app: Flask) -> None:
    api_tokens.create(OPERATOR, "crm", ["read"])
    with pytest.raises(Invalid):
        api_tokens.create(OPERATOR, "crm", ["read"])
    for forbidden in (lambda: api_tokens.create(OPS, "x", ["read"]), lambda: api_tokens.revoke(OPS, "crm")):
        with pytest.raises(Forbidden):
            forbidden()
    with pytest.raises(Forbidden):
        api_tokens.list_tokens(OPS)
