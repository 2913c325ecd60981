"""The export of one contact: contact.json and messages.html with everything that is stored, and of nobody else."""

import io
import json
from datetime import timedelta
from typing import Any
from zipfile import ZipFile

import pytest
from flask import Flask

from app import audit, clock
from app.audit import Action
from app.db import transaction
from app.erasure import contact_export
from app.erasure.contact_data import PARTS
from app.errors import Forbidden, NotFound
from app.identities import observations, resolve
from app.identities.observations import ProfileObservation
from app.models.account import Account
from app.models.identity import Source, StoredAvatar
from app.models.run import RunKind
from app.runs import lifecycle, runner
from app.viewer import OPERATOR, Role, Viewer
from tests.factories import (
    ATELIER_NORD,
    CAMILLE,
    LEA,
    MAISON_LUNE,
    a_delivery,
    a_message_event,
    a_sandbox_account,
    an_echo_event,
    people_wrote,
)
from tests.support.processes import Sandbox
from tests.support.webhooks import receive_webhook

VIDEO = {"type": "video", "payload": {"url": "https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id=1"}}


@pytest.fixture
def account(meta: Sandbox) -> Account:
    account = a_sandbox_account()
    people_wrote(LEA, CAMILLE)
    resolve.look_up_due(account.id)
    return account


def files_of(identity_id: int = 1) -> dict[str, bytes]:
    parts = b"".join(contact_export.archive(OPERATOR, identity_id))
    with ZipFile(io.BytesIO(parts)) as file:
        assert file.testzip() is None
        return {name: file.read(name) for name in file.namelist()}


def contact_of(files: dict[str, bytes]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files["contact.json"])
    return found


def test_an_export_holds_every_part_and_a_readable_page(account: Account) -> None:
    runner.run_slice(lifecycle.start(OPERATOR, account.id, kind=RunKind.REFRESH))
    receive_webhook(
        a_delivery(an_echo_event(LEA, "<b>Avec plaisir</b>"), a_message_event(LEA, None, attachments=[VIDEO]))
    )
    with transaction.write() as tx:
        at = clock.now() + timedelta(seconds=5)
        renamed = ProfileObservation(LEA, username="lea.new", name=None, picture_url=None, source=Source.PROFILE, at=at)
        assert observations.record(tx, account.id, renamed)
        picture = {"content": b"RIFF", "version": "1", "tried_at": clock.now()}
        tx.execute(tx.insert(StoredAvatar).values(identity_id=1, **picture).on_conflict_do_nothing())
    files = files_of()
    assert list(files) == ["contact.json", "messages.html", "picture.webp"]
    found = contact_of(files)
    assert set(found) == {"exportedAt", "accountId", "note", *(part.key for part in PARTS)}
    assert found["accountId"] == MAISON_LUNE
    assert (found["identity"]["participantPlatformId"], found["identity"]["username"]) == (LEA, "lea.new")
    assert [each["oldUsername"] for each in found["earlierUsernames"]] == ["lea.moreau"]
    assert [each["text"] for each in found["messages"]] == ["Bonjour !", "<b>Avec plaisir</b>", None]
    assert found["lookups"]
    assert [each["state"] for each in found["jobs"]] == ["resolved"]
    page = files["messages.html"].decode()
    assert "&lt;b&gt;Avec plaisir&lt;/b&gt;" in page
    assert '<a rel="noreferrer" href="https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id=1">Video</a>' in page
    assert "Meta lets these links expire" in page
    assert "3 messages" in page


def test_an_export_names_no_other_contact_and_no_user(account: Account) -> None:
    other = a_message_event(CAMILLE, "A secret", recipient=ATELIER_NORD)
    receive_webhook(a_delivery(a_message_event(LEA, "Bonsoir", recipient=ATELIER_NORD), other))
    everything = b"".join(files_of().values()).decode()
    assert LEA in everything
    assert not any(word in everything for word in (CAMILLE, "Camille", "A secret", "Command line"))


def test_the_text_of_an_unsent_message_is_never_exported(account: Account) -> None:
    receive_webhook(a_delivery(a_message_event(LEA, "canarywort", mid="taken-back")))
    unsent = {"mid": "taken-back", "is_deleted": True}
    receive_webhook(a_delivery({**a_message_event(LEA), "message": unsent}))
    files = files_of()
    assert [each["kind"] for each in contact_of(files)["messages"]] == ["text", "unsent"]
    assert b"canarywort" not in b"".join(files.values())
    assert b"Message unsent" in files["messages.html"]


def test_messages_are_read_in_chunks_and_in_order(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contact_export, "CHUNK", 2)
    same = int(clock.now().timestamp() * 1000) + 1000
    receive_webhook(a_delivery(*(a_message_event(LEA, f"Message {each}", at_ms=same) for each in range(5))))
    found = contact_of(files_of())["messages"]
    assert [each["text"] for each in found] == ["Bonjour !", *(f"Message {each}" for each in range(5))]


def test_what_arrives_during_an_export_is_in_neither_file(account: Account) -> None:
    parts = contact_export.archive(OPERATOR, 1)
    begun = next(parts)
    receive_webhook(a_delivery(a_message_event(LEA, "canarywort")))
    with ZipFile(io.BytesIO(begun + b"".join(parts))) as file:
        assert b"canarywort" not in file.read("contact.json") + file.read("messages.html")
        assert b"1 message." in file.read("messages.html")


def test_an_export_is_sent_in_small_parts(account: Account) -> None:
    words = (f"{number} {number * 7919 % 104729:x}" * 40 for number in range(600))
    receive_webhook(a_delivery(*(a_message_event(LEA, each) for each in words)))
    sizes = [len(part) for part in contact_export.archive(OPERATOR, 1)]
    assert len(sizes) > 1
    assert max(sizes) < 150_000


def test_a_contact_without_a_conversation_is_exported(account: Account) -> None:
    with transaction.write() as tx:
        new = ProfileObservation(
            "1520000000000999", username="no.thread", name=None, picture_url=None, source=Source.LEGACY, at=clock.now()
        )
        assert observations.record(tx, account.id, new)
    found = contact_of(files_of(3))
    assert (found["identity"]["username"], found["conversation"], found["messages"]) == ("no.thread", None, [])


def test_an_export_is_in_the_audit_log_and_for_admins_only(app: Flask, account: Account) -> None:
    with pytest.raises(Forbidden):
        contact_export.archive(Viewer(user_id=1, name="Nadia", role=Role.OPS), 1)
    with pytest.raises(NotFound):
        contact_export.archive(Viewer(2, "Oskar", Role.ADMIN, frozenset({999})), 1)
    files_of()
    [entry] = audit.page(OPERATOR, audit.parse_filter(action=Action.CONTACT_EXPORTED))[0]
    assert (entry.subject, entry.ig_account_id) == ("identity 1", MAISON_LUNE)
