"""Migrations forward and back, and that their schema matches the models."""

import multiprocessing
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from flask import Flask
from sqlalchemy import Connection, inspect, select, text

from app import clock, settings
from app.db import migrate
from app.db.engine import db
from app.factory import create_app
from app.identities import resolve
from app.instagram.errors import Reason
from app.models.audit import Action, AuditEntry
from app.models.call import Purpose
from app.models.conversation import Conversation
from app.models.identity import Identity
from tests.support.databases import app_context_of, upgrade

AT = "2026-09-01 10:00:00.000000"
ACCOUNT: dict[str, Any] = {
    "id": 1,
    "ig_account_id": "1",
    "login": "instagram",
    "own_ids": "[]",
    "connected_at": AT,
    "state": "connected",
}
MARKED, UNREAD, TOO_MANY, READ = 1, 2, 3, 4
OF_CONVERSATION: dict[str, Any] = {
    **{"account_id": 1, "first_message_at": AT, "last_message_at": AT, "last_message_mid": "m"},
    **{"last_message_kind": "text", "last_message_outgoing": False},
}
OF_MESSAGE: dict[str, Any] = {"account_id": 1, "ig_sender_id": "1", "outgoing": False, "kind": "text", "sent_at": AT}


@pytest.fixture
def blank(blank_database: str) -> Flask:
    """The app on an empty database."""
    with settings.using(database_url=blank_database):
        return create_app()


def tables() -> set[str]:
    present = inspect(db.engine).get_table_names()
    return {name for name in present if migrate.of_models(None, name, "", True, None)} - {"alembic_version"}


def add(connection: Connection, table: str, **values: Any) -> None:
    """Store a row as an earlier release did."""
    names = ", ".join(f":{name}" for name in values)
    connection.execute(text(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({names})"), values)


def test_migrations_run_forward_and_back_and_forward_again(blank: Flask) -> None:
    with app_context_of(blank):
        assert not migrate.is_current()
        migrate.upgrade()
        assert migrate.is_current()
        assert tables() == set(db.metadata.tables)
        migrate.downgrade("base")
        assert tables() == set()
        migrate.upgrade()
        assert tables() == set(db.metadata.tables)


def test_the_migrated_schema_is_the_one_of_the_models(blank: Flask) -> None:
    with app_context_of(blank):
        migrate.upgrade()
        with db.engine.connect() as connection:
            options = {"compare_type": True, "include_object": migrate.of_models}
            context = MigrationContext.configure(connection, opts=options)
            assert compare_metadata(context, db.metadata) == []


def test_several_upgrades_at_once_all_succeed(blank: Flask, blank_database: str) -> None:
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=upgrade, args=(blank_database,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    with app_context_of(blank):
        assert migrate.is_current()


def test_what_is_unread_stays_unread_when_reading_follows_the_arrival(blank: Flask) -> None:
    with app_context_of(blank):
        migrate.upgrade("0022")
        with db.engine.begin() as connection:
            add(connection, "accounts", **ACCOUNT)
            for conversation_id, unread in ((MARKED, 1), (UNREAD, 2), (TOO_MANY, 9), (READ, 0)):
                known = {"id": conversation_id, "ig_participant_id": str(conversation_id), "unread_count": unread}
                add(connection, "conversations", **known, **OF_CONVERSATION)
            outgoing: dict[str, Any] = {"kind": "text", "outgoing": True}
            stored: list[tuple[int, dict[str, Any]]] = [
                (MARKED, outgoing),
                (UNREAD, {}),
                (UNREAD, {}),
                (UNREAD, {"kind": "unsent"}),
                (UNREAD, {}),
            ]
            for place, (conversation_id, more) in enumerate([*stored, (UNREAD, outgoing), (TOO_MANY, {}), (READ, {})]):
                message = {"id": place + 1, "mid": str(place), "mid_digest": bytes([place] * 16)} | OF_MESSAGE | more
                add(connection, "messages", conversation_id=conversation_id, **message)
        migrate.upgrade("0023")
        with db.engine.connect() as connection:
            counts = "SELECT unread_count, arrival_count, read_through FROM conversations ORDER BY id"
            assert [tuple(row) for row in connection.execute(text(counts))] == [
                (1, 0, 0),
                (2, 2, 0),
                (1, 1, 0),
                (0, 0, 0),
            ]
            arrivals = connection.execute(text("SELECT arrival FROM messages ORDER BY id")).scalars()
            assert list(arrivals) == [None, None, 1, None, 2, None, 1, None]
        migrate.downgrade("0022")


def test_placeholders_are_cleared_and_looked_up_again_while_names_stay(blank: Flask) -> None:
    with app_context_of(blank):
        migrate.upgrade("0021")
        with db.engine.begin() as connection:
            add(connection, "accounts", **ACCOUNT)
            for contact, username in (("1", "Unknown_77"), ("2", "lea.moreau"), ("3", "unknowns")):
                named = {"username": username, "username_at": AT, "username_source": "profile", "look": username}
                known = {"id": int(contact), "ig_participant_id": contact, "first_seen_at": AT, "last_success_at": AT}
                add(connection, "identities", account_id=1, **known, **named)
                conversation = {"id": int(contact), "ig_participant_id": contact, "known": True} | OF_CONVERSATION
                add(connection, "conversations", **conversation)
        migrate.upgrade()
        found = select(Identity.username, Identity.skeleton, Identity.last_error, Identity.next_purpose)
        names = [tuple(row) for row in db.session.execute(found.order_by(Identity.id))]
        assert names == [
            (None, None, Reason.PLACEHOLDER, Purpose.BACKFILL),
            ("lea.moreau", "lea.moreau", None, None),
            ("unknowns", "unknowns", None, None),
        ]
        assert resolve.accounts_due(clock.now(), live=False) == [1]
        assert list(db.session.scalars(select(Conversation.known).order_by(Conversation.id))) == [False, True, True]


def test_actions_of_the_audit_log_become_keys_and_sentences_again(blank: Flask) -> None:
    entries = [("signed in", None), ("deleted a person's data", "person 4f2a"), ("started a job", "job 4f2a")]
    with app_context_of(blank):
        migrate.upgrade("0026")
        with db.engine.begin() as connection:
            for action, subject in entries:
                add(connection, "audit_log", at=AT, actor="user 1", action=action, subject=subject)
        migrate.upgrade()
        found = select(AuditEntry.action, AuditEntry.subject).order_by(AuditEntry.id)
        assert [tuple(row) for row in db.session.execute(found)] == [
            (Action.SIGNED_IN, None),
            (Action.PERSON_DELETED, "contact 4f2a"),
            (Action.JOB_STARTED, "job 4f2a"),
        ]
        db.session.rollback()
        migrate.downgrade("0026")
        with db.engine.connect() as connection:
            rows = connection.execute(text("SELECT action, subject FROM audit_log ORDER BY id"))
            assert [tuple(row) for row in rows] == entries
