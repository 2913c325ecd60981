"""Prepared statements: the same values, rows and errors as those that SQLAlchemy executes."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import NullPool, bindparam, create_engine, select, text
from sqlalchemy.exc import IntegrityError

from app import clock
from app.db import transaction
from app.db.engine import db
from app.db.prepared import Prepared
from app.errors import Unavailable
from app.models.account import Account, AccountState
from app.models.conversation import Conversation
from tests.factories import LEA, an_account

COLUMNS = (
    *("account_id", "ig_participant_id", "first_message_at", "last_message_at"),
    *("last_message_mid", "last_message_kind", "last_message_outgoing"),
)

BY_ID = (
    select(Account.id, Account.own_ids, Account.connected_at, Account.last_webhook_at, Account.state)
    .add_columns((Account.state == AccountState.DELETING).label("is_deleting"))
    .where(Account.ig_account_id == bindparam("ig_account_id"), Account.state != AccountState.DELETING)
)


def _insert(dialect: str) -> Any:
    return transaction.insert_into(Conversation, dialect).returning(Conversation.id, Conversation.first_message_at)


FIND, INSERT = Prepared(lambda _: BY_ID), Prepared(_insert, COLUMNS)


def _conversation(account_id: int) -> dict[str, Any]:
    now = clock.now()
    return dict(zip(COLUMNS, (account_id, LEA, now, now, "m", "text", False), strict=True))


def test_a_row_has_the_names_and_values_of_the_columns(app: Flask) -> None:
    account = an_account(own_ids=["17841400000000999"])
    with transaction.write() as tx:
        found = FIND.first(tx.connection, {"ig_account_id": account.ig_account_id})
        expected = tx.execute(BY_ID, {"ig_account_id": account.ig_account_id}).one()
        assert FIND.first(tx.connection, {"ig_account_id": "1"}) is None
    assert found._asdict() == expected._asdict()
    assert found.connected_at.tzinfo is not None
    assert [type(value) for value in found] == [type(value) for value in expected]


def test_an_inserted_row_has_the_values_and_the_defaults_of_its_table(app: Flask) -> None:
    values = _conversation(an_account().id)
    with transaction.write() as tx:
        stored = INSERT.first(tx.connection, values)
    row = db.session.get_one(Conversation, stored.id)
    assert stored.first_message_at == row.first_message_at == values["first_message_at"]
    assert (row.status, row.read_through, row.last_message_outgoing) == ("open", 0, False)


def test_a_violated_constraint_raises_what_sqlalchemy_raises(app: Flask) -> None:
    values = _conversation(an_account().id)
    with pytest.raises(IntegrityError), transaction.write() as tx:
        INSERT.first(tx.connection, values)
        INSERT.first(tx.connection, values)
    assert db.session.scalars(select(Conversation)).all() == []


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_lost_connection_is_unavailable_and_replaced(app: Flask) -> None:
    values = _conversation(an_account().id)
    db.session.remove()
    apart = create_engine(db.engine.url, poolclass=NullPool)
    with pytest.raises(Unavailable), transaction.write() as tx:
        own = tx.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with apart.connect() as connection:
            connection.execute(text("SELECT pg_terminate_backend(:own)"), {"own": own})
        INSERT.first(tx.connection, values)
    with transaction.write() as tx:
        assert INSERT.first(tx.connection, values) is not None
