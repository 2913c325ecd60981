"""What is stored about a contact: every table and column is exported or listed as left out."""

import pytest
from flask import Flask

from app.db.engine import db
from app.erasure import contact_data
from app.erasure.contact_data import PARTS, WITHOUT_CONTACTS
from app.errors import Forbidden, NotFound
from app.identities import resolve
from app.models.run import RunKind
from app.runs import lifecycle, runner
from app.viewer import OPERATOR, Role, Viewer
from tests.factories import ATELIER_NORD, CAMILLE, LEA, a_delivery, a_message_event, a_sandbox_account, people_wrote
from tests.support.processes import Sandbox
from tests.support.webhooks import receive_webhook

TABLES = {table.name: table for table in db.metadata.sorted_tables}
OF_A_CONTACT = {part.model.__table__.name for part in PARTS}  # type: ignore[attr-defined]


def test_every_table_is_exported_or_holds_nothing_about_a_contact() -> None:
    assert OF_A_CONTACT.isdisjoint(WITHOUT_CONTACTS)
    assert {*OF_A_CONTACT, *WITHOUT_CONTACTS} == set(TABLES), "add a new table to PARTS or to WITHOUT_CONTACTS"


@pytest.mark.parametrize("name", sorted(WITHOUT_CONTACTS))
def test_a_table_that_is_left_out_has_no_column_with_a_contact(name: str) -> None:
    refers = {key.column.table.name for key in TABLES[name].foreign_keys}
    assert "ig_participant_id" not in TABLES[name].columns
    assert name == "unread_by_user" or not refers & OF_A_CONTACT


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.key)
def test_every_column_is_exported_or_listed_as_internal(part: contact_data.DataPart) -> None:
    exported = {column.key for column in part.exported}
    assert exported.isdisjoint(part.internal)
    assert {*exported, *part.internal} == set(part.model.__table__.columns.keys())


def test_every_kind_of_stored_data_is_counted(app: Flask, meta: Sandbox) -> None:
    account = a_sandbox_account()
    people_wrote(LEA, CAMILLE)
    resolve.look_up_due(account.id)
    runner.run_slice(lifecycle.start(OPERATOR, account.id, kind=RunKind.REFRESH))
    receive_webhook(a_delivery(a_message_event(LEA, "A secret", recipient=ATELIER_NORD)))
    receive_webhook(a_delivery({"sender": {"id": LEA}, "reaction": {"mid": "never", "action": "react", "emoji": "❤️"}}))
    counts = {part.key: number for part, number in contact_data.get_stored_data(OPERATOR, 1).counts}
    once = ("conversation", "messages", "identity", "jobs", "pendingUpdates", "deadLetters")
    assert {key: counts[key] for key in once} == dict.fromkeys(once, 1)
    assert counts["lookups"] >= 1
    assert {part.key: number for part, number in contact_data.get_stored_data(OPERATOR, 2).counts}["deadLetters"] == 0


def test_only_an_admin_of_the_account_sees_what_is_stored(app: Flask) -> None:
    a_sandbox_account()
    people_wrote(LEA)
    with pytest.raises(Forbidden):
        contact_data.get_stored_data(Viewer(user_id=1, name="Nadia", role=Role.OPS), 1)
    for viewer, number in ((Viewer(2, "Oskar", Role.ADMIN, frozenset({999})), 1), (OPERATOR, 999)):
        with pytest.raises(NotFound):
            contact_data.get_stored_data(viewer, number)
