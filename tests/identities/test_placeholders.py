"""Placeholders instead of names: never stored, with a reason of their own, and retried."""

import json
from pathlib import Path

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import select

from app import clock
from app.db.engine import db
from app.identities import cache, resolve
from app.identities.failure_policy import STOP_AFTER
from app.identities.observations import ProfileObservation
from app.ingest import sync
from app.instagram.errors import Reason
from app.legacy_import import importer
from app.models.account import Account
from app.models.call import Purpose
from app.models.conversation import Conversation
from app.models.identity import Identity, Source
from app.models.run import ItemState, RunItem, RunKind
from app.runs import lifecycle, runner
from app.viewer import OPERATOR
from tests.api.clients import an_api_client
from tests.calls.lookups import noted
from tests.factories import CAMILLE, LEA, MAISON_LUNE, RUI, a_sandbox_account, people_wrote
from tests.support.frozen_clock import FrozenClock
from tests.support.processes import Sandbox
from tests.web.browsing import signed_in

PLACEHOLDERS = ("UNKNOWN_1", "unknown", "Unknown", "none", "null", "@unknown", "Instagram User", "  ")


@pytest.fixture
def account(meta: Sandbox) -> Account:
    return a_sandbox_account()


def lea() -> Identity:
    db.session.rollback()
    return db.session.scalars(select(Identity).where(Identity.ig_participant_id == LEA)).one()


def known_in_the_list() -> bool:
    db.session.rollback()
    return db.session.scalars(select(Conversation.known).where(Conversation.ig_participant_id == LEA)).one()


@pytest.mark.parametrize("placeholder", PLACEHOLDERS)
def test_a_placeholder_in_a_profile_is_not_a_name(account: Account, meta: Sandbox, placeholder: str) -> None:
    meta.request("PATCH", f"people/{LEA}", username=placeholder, name=None)
    people_wrote(LEA)
    resolve.look_up_due(account.id)
    row = lea()
    assert (row.username, row.name, row.last_success_at, row.failure_count) == (None, None, None, 1)
    assert row.last_error == (Reason.PLACEHOLDER if placeholder.strip() else Reason.NO_NAME)
    assert row.next_try_at is not None
    assert not known_in_the_list()
    assert cache.read(MAISON_LUNE, [LEA]) == {}


def test_a_name_beside_a_placeholder_is_kept(account: Account, meta: Sandbox) -> None:
    meta.request("PATCH", f"people/{LEA}", username="UNKNOWN_1", name="Léa Moreau")
    people_wrote(LEA)
    resolve.look_up_due(account.id)
    assert (lea().username, lea().name, lea().last_error) == (None, "Léa Moreau", None)


def test_placeholders_are_retried_like_other_failures_until_a_name_comes(
    account: Account, meta: Sandbox, frozen_clock: FrozenClock
) -> None:
    meta.request("PATCH", f"people/{LEA}", username="UNKNOWN_1", name=None)
    people_wrote(LEA)
    for failures in range(1, STOP_AFTER):
        resolve.look_up_due(account.id)
        row = lea()
        assert row.failure_count == failures
        assert row.next_try_at is not None
        frozen_clock.at = row.next_try_at
    meta.request("PATCH", f"people/{LEA}", username="lea.moreau", name=None)
    resolve.look_up_due(account.id)
    assert (lea().username, lea().failure_count) == ("lea.moreau", 0)


def test_pages_show_that_instagram_returned_a_placeholder(app: Flask, account: Account, meta: Sandbox) -> None:
    meta.request("PATCH", f"people/{LEA}", username="UNKNOWN_1", name=None)
    people_wrote(LEA)
    resolve.look_up_due(account.id)
    browser, api = signed_in(app), an_api_client(app)
    [listed] = api.get("/api/identities?reason=placeholder").get_json()["data"]
    assert (listed["identityState"], listed["username"], listed["lastSuccessAt"]) == ("unknown", None, None)
    assert listed["explanation"] == "Instagram returned a placeholder instead of a name"
    page = browser.get(f"/identities/{listed['id']}").text
    assert "Instagram returned a placeholder instead of a name" in page
    assert "No lookup since" not in page
    assert "a placeholder as username" in page
    conversation = db.session.scalars(select(Conversation.id)).one()
    pane = browser.get(f"/inbox/{conversation}").text
    assert "Short ID" in pane
    assert "Never" in pane
    assert "Instagram returned a placeholder instead of a name" in pane


def test_a_placeholder_on_a_conversation_page_settles_no_item(account: Account, meta: Sandbox) -> None:
    meta.request("PATCH", f"people/{LEA}", username="UNKNOWN_1", name=None)
    for who in (LEA, RUI, CAMILLE):
        meta.post("send", person=who, text="Bonjour")
    people_wrote(LEA, RUI, CAMILLE)
    sync.sync_account(account.id)
    assert (lea().username, lea().last_success_at, lea().next_purpose) == (None, None, Purpose.LIVE)
    runner.run_slice(lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL))
    db.session.rollback()
    item = db.session.scalars(select(RunItem).where(RunItem.ig_participant_id == LEA)).one()
    assert (item.state, item.reason) == (ItemState.FAILED, Reason.PLACEHOLDER)


def test_a_placeholder_in_redis_or_in_an_older_dump_is_no_name(account: Account, redis: Redis, tmp_path: Path) -> None:
    people_wrote(LEA)
    cache.write(MAISON_LUNE, ProfileObservation(LEA, "UNKNOWN_1", None, None, Source.PROFILE, clock.now()))
    dump = tmp_path / "dump.json"
    dump.write_text(json.dumps([{"account_id": MAISON_LUNE, "participant_id": LEA, "username": "Instagram User"}]))
    assert importer.import_names(dump).without_name == 1
    resolve.look_up_due(account.id)
    assert [row.ig_participant_id for row in noted()] == [LEA]
    assert lea().username == "lea.moreau"
