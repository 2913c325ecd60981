"""The audit log: every kind of action, from pages, API and command line, with IDs only."""

import json

import pytest
from flask import Flask
from sqlalchemy import select

from app import audit
from app.accounts import connect, key_rotation
from app.audit import Action
from app.db import transaction
from app.db.engine import db
from app.erasure import contacts
from app.errors import Conflict, Forbidden, Invalid
from app.identities import export, listing, manual_refresh
from app.ingest import dead_letters, replay
from app.models.audit import AuditEntry
from app.models.identity import Identity
from app.models.run import RunKind
from app.runs import lifecycle
from app.schedules import purge
from app.users import api_tokens, sign_in, users
from app.viewer import OPERATOR, SCHEDULE, Role, Viewer
from tests.factories import (
    ATELIER_NORD,
    LEA,
    MAISON_LUNE,
    a_delivery,
    a_message_event,
    an_account,
    people_wrote,
)
from tests.support.frozen_clock import FrozenClock
from tests.support.webhooks import receive_webhook

NADIA, PASSWORD = "nadia@example.com", "a moonlit correct horse"
ADMIN = Viewer(user_id=7, name="ada@example.com", role=Role.ADMIN)
PROGRAM = Viewer(user_id=None, name="token crm", role=Role.OPS, token_id=4)


def told() -> list[tuple[str, str, str | None, str | None]]:
    """Return the log, oldest first, as (actor, action, subject, account)."""
    entries, _ = audit.page(OPERATOR, audit.AuditFilter(), limit=1_000)
    return [(each.actor, each.action.value, each.subject, each.ig_account_id) for each in reversed(entries)]


def test_signing_in_and_out_is_noted_with_the_place_it_came_from(app: Flask) -> None:
    nadia = users.add_user(ADMIN, NADIA, role=Role.OPS, password=PASSWORD)
    sign_in.authenticate(NADIA, "something else", address="192.0.2.1")
    sign_in.authenticate("my own password by mistake", PASSWORD, address="192.0.2.1")
    sign_in.authenticate(NADIA, PASSWORD, address="192.0.2.2")
    for _ in range(3):
        sign_in.record_throttled("192.0.2.3")
    users.sign_out(nadia.viewer())
    entries, _ = audit.page(OPERATOR, audit.AuditFilter())
    assert [(each.actor, each.action, each.subject, each.address) for each in reversed(entries)] == [
        ("user 7", Action.USER_ADDED, "user 1", None),
        ("stranger", Action.SIGN_IN_FAILED, "user 1", "192.0.2.1"),
        ("stranger", Action.SIGN_IN_FAILED, None, "192.0.2.1"),
        ("user 1", Action.SIGNED_IN, None, "192.0.2.2"),
        ("stranger", Action.SIGN_IN_THROTTLED, None, "192.0.2.3"),
        ("user 1", Action.SIGNED_OUT, "user 1", None),
    ]


def test_what_admins_do_with_people_and_tokens_is_noted(app: Flask) -> None:
    nadia = users.add_user(ADMIN, NADIA, role=Role.OPS, password=PASSWORD)
    users.change_password(ADMIN, NADIA, password=PASSWORD + "!")
    users.change_own_password(nadia.viewer(), present=PASSWORD + "!", password=PASSWORD)
    users.change_access(ADMIN, NADIA, role=Role.AGENT)
    users.disable(ADMIN, NADIA)
    users.enable(ADMIN, NADIA)
    api_tokens.create(ADMIN, "crm", ["read"])
    api_tokens.revoke(ADMIN, "crm")
    assert [(actor, action, subject) for actor, action, subject, _ in told()] == [
        ("user 7", "user_added", "user 1"),
        ("user 7", "password_changed", "user 1"),
        ("user 1", "password_changed", "user 1"),
        ("user 7", "user_changed", "user 1"),
        ("user 7", "user_disabled", "user 1"),
        ("user 7", "user_enabled", "user 1"),
        ("user 7", "api_token_created", "token 1"),
        ("user 7", "api_token_revoked", "token 1"),
    ]


def test_a_tokens_first_use_and_each_new_address_is_noted_once(app: Flask) -> None:
    secret = api_tokens.create(OPERATOR, "crm", ["read"])
    for address in ("192.0.2.1", "192.0.2.1", "192.0.2.9", "192.0.2.1"):
        assert api_tokens.authenticate(secret, address=address)
    entries, _ = audit.page(OPERATOR, audit.parse_filter(action="api_token_used"))
    assert [(each.actor, each.address) for each in entries] == [("token 1", "192.0.2.9"), ("token 1", "192.0.2.1")]


def test_what_is_done_with_an_accounts_rows_is_noted_with_the_account(app: Flask) -> None:
    account = an_account()
    people_wrote(LEA)
    [identity_id] = db.session.scalars(select(Identity.id))
    run_id = lifecycle.start(PROGRAM, account.id, kind=RunKind.BACKFILL)
    lifecycle.cancel(OPERATOR, run_id)
    manual_refresh.refresh(ADMIN, identity_id)
    "".join(export.lines(PROGRAM, listing.parse_filter(), format_="csv"))
    contacts.delete_contact(ADMIN, 1)
    key_rotation.rotate(OPERATOR)
    connect.remove(OPERATOR, MAISON_LUNE)
    assert told() == [
        ("token 4", "job_started", f"job {run_id}", MAISON_LUNE),
        ("command line", "job_canceled", f"job {run_id}", MAISON_LUNE),
        ("user 7", "identity_refreshed", f"identity {identity_id}", MAISON_LUNE),
        ("token 4", "identities_exported", None, None),
        ("user 7", "contact_deleted", audit.pseudonym(MAISON_LUNE, LEA), MAISON_LUNE),
        ("command line", "keys_rotated", None, None),
        ("command line", "account_removed", None, MAISON_LUNE),
    ]


def test_dead_letters_are_noted_when_they_land_or_are_thrown_away(app: Flask) -> None:
    for text in ("one", "two"):
        body = a_delivery(a_message_event(LEA, text, recipient=ATELIER_NORD), ig_account_id=ATELIER_NORD)
        receive_webhook(body)
    dead_letters.discard(ADMIN, 1)
    an_account(ATELIER_NORD)
    replay.replay_all(OPERATOR)
    noted = [(actor, action, subject) for actor, action, subject, _ in told()]
    assert noted == [
        ("user 7", "dead_letter_discarded", "letter 1"),
        ("command line", "dead_letter_replayed", "letter 2"),
    ]


def test_what_did_not_happen_is_not_noted(app: Flask) -> None:
    account = an_account()
    run_id = lifecycle.start(SCHEDULE, account.id, kind=RunKind.BACKFILL)
    with pytest.raises(Conflict):
        lifecycle.cancel(OPERATOR, run_id)  # ended immediately, without a contact
    assert [action for _, action, _, _ in told()] == ["job_started"]


def test_the_log_holds_no_name_no_text_and_no_secret(app: Flask) -> None:
    account = an_account()
    people_wrote(LEA)
    users.add_user(ADMIN, NADIA, role=Role.OPS, password=PASSWORD)
    sign_in.authenticate(NADIA, "canary of a password", address="192.0.2.1")
    secret = api_tokens.create(OPERATOR, "canary of a name", ["read"])
    api_tokens.authenticate(secret, address="192.0.2.1")
    lifecycle.start(ADMIN, account.id, kind=RunKind.BACKFILL)
    contacts.delete_contact(ADMIN, 1)
    rows = [dict(row._mapping) for row in db.session.execute(select(AuditEntry.__table__))]
    written = json.dumps(rows, default=str)
    for canary in ("canary", "nadia", "ada@", "Bonjour", LEA, secret):
        assert canary not in written


def test_pages_follow_each_other_and_keep_to_what_was_wanted(app: Flask) -> None:
    with transaction.write() as tx:
        for number in range(7):
            audit.note(tx, ADMIN if number % 2 else PROGRAM, Action.JOB_STARTED, f"job {number}")
    want = audit.parse_filter(actor="token 4", action="job_started")
    first, older = audit.page(OPERATOR, want, limit=3)
    rest, end = audit.page(OPERATOR, audit.parse_filter(actor="token 4", before=older), limit=3)
    assert [each.subject for each in [*first, *rest]] == ["job 6", "job 4", "job 2", "job 0"]
    assert end is None
    assert audit.page(OPERATOR, audit.parse_filter(action="keys_rotated")) == ([], None)
    with pytest.raises(Invalid):
        audit.parse_filter(action="whatever")


def test_only_admins_read_it(app: Flask) -> None:
    with pytest.raises(Forbidden):
        audit.page(PROGRAM, audit.AuditFilter())
    with pytest.raises(Forbidden):
        audit.names(PROGRAM)


def test_people_and_programs_are_called_what_they_are_called_today(app: Flask) -> None:
    users.add_user(ADMIN, NADIA, role=Role.OPS, password=PASSWORD)
    api_tokens.create(ADMIN, "crm", ["read"])
    assert audit.names(OPERATOR) == {"user 1": NADIA, "token 1": "crm"}


def test_entries_are_kept_for_four_hundred_days(app: Flask, frozen_clock: FrozenClock) -> None:
    key_rotation.rotate(OPERATOR)
    frozen_clock.forward(days=399)
    purge()
    assert len(told()) == 1
    frozen_clock.forward(days=2)
    purge()
    assert told() == []
