"""Every revision migrates a database with many messages forward and back, and only expands the schema before it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import Connection, inspect, select, text

from app import core, scheduler, settings
from app.backup import tables, transfer
from app.db import migrate
from app.db.engine import db
from app.db.migrate import SchemaState
from app.inbox import search, search_query
from app.ingest import indexing
from app.models.conversation import Conversation, Message
from tests.support.databases import app_context_of

FIRST = "0001"
MESSAGES, CONVERSATIONS = 50_000, 500
# Columns that a revision removes or demands on purpose, by revision: nothing in the release before it uses them.
CONTRACTED: dict[str, set[str]] = {}

_NUMBERS = {
    "sqlite": "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {last})",
    "postgresql": "WITH numbers AS (SELECT generate_series(1, {last}) AS n)",
}
_DIGEST = {"sqlite": "CAST(printf('%016d', n) AS BLOB)", "postgresql": "convert_to(lpad(n::text, 16, '0'), 'UTF8')"}


@pytest.fixture
def blank(blank_database: str, redis: Redis, tmp_path: Path) -> Iterator[Flask]:
    """The app on a database without tables."""
    with (
        settings.using(database_url=blank_database, nametag_data_dir=tmp_path),
        app_context_of(core.create_core()) as app,
    ):
        yield app


def seed(connection: Connection, *, messages: int = MESSAGES) -> None:
    """Store an account with many messages in the schema of the first revision, by few statements."""
    tables.lift_limits(connection)
    dialect, at = connection.dialect.name, "'2026-11-01 10:00:00+00:00'"
    at = at.replace("+00:00", ".000000") if dialect == "sqlite" else at
    yes, no = ("1", "0") if dialect == "sqlite" else ("true", "false")
    name = "'contact ' || n" if dialect == "sqlite" else "'contact ' || n::text"
    contact = "1520000000000000 + {n}" if dialect == "sqlite" else "(1520000000000000 + {n})::text"
    of_conversations = _NUMBERS[dialect].format(last=CONVERSATIONS)
    connection.execute(
        text(
            "INSERT INTO accounts (id, ig_account_id, login, own_ids, state, connected_at)"
            f" VALUES (1, '17841400000000101', 'instagram', '[]', 'connected', {at})"
        )
    )
    identities = "INSERT INTO identities (id, account_id, ig_participant_id, name, first_seen_at)"
    _insert(
        connection, identities, of_conversations, f"SELECT n, 1, {contact.format(n='n')}, {name}, {at} FROM numbers"
    )
    conversations = (
        "INSERT INTO conversations (id, account_id, ig_participant_id, known, unread_count, first_message_at,"
        " last_message_at, last_message_mid, last_message_kind, last_message_outgoing)"
    )
    chosen = f"SELECT n, 1, {contact.format(n='n')}, {yes}, 1, {at}, {at}, 'm' || n, 'text', {no} FROM numbers"
    _insert(connection, conversations, of_conversations, chosen)
    into = (
        "INSERT INTO messages (id, account_id, conversation_id, mid_digest, mid, ig_sender_id, outgoing, arrival, kind,"
        " text, sent_at)"
    )
    number = f"n % {CONVERSATIONS} + 1"
    chosen = (
        f"SELECT n, 1, {number}, {_DIGEST[dialect]}, 'm' || n, {contact.format(n=f'({number})')}, {no}, 1, 'text',"
        f" 'word' || n || ' bonjour', {at} FROM numbers"
    )
    _insert(connection, into, _NUMBERS[dialect].format(last=messages), chosen)


def _insert(connection: Connection, into: str, numbers: str, chosen: str) -> None:
    parts = (numbers, into, chosen) if connection.dialect.name == "postgresql" else (into, numbers, chosen)
    connection.execute(text(" ".join(parts)))


def facts() -> tuple[int, int, str, int]:
    """Return what every revision must keep: messages, conversations, one text, and what search finds."""
    if "terms" in {each["name"] for each in inspect(db.engine).get_columns("messages")}:
        indexing.index_stored()
        db.session.rollback()  # as after each duty: a migration waits for transactions that have read the table
        words_of, word = "search_message(account_id, id, conversation_id, sent_at, terms)", "'word4711'::tsquery"
    else:
        words_of, word = "search_message(account_id, text)", "to_tsquery('simple', 'word4711')"
    search = "SELECT count(*) FROM search_messages WHERE search_messages MATCH 'word4711'"
    if db.engine.dialect.name == "postgresql":
        search = f"SELECT count(*) FROM messages WHERE {words_of} @@ {word}"
    with db.engine.connect() as connection:
        return (
            connection.execute(text("SELECT count(*) FROM messages")).scalar_one(),
            connection.execute(text("SELECT count(*) FROM conversations")).scalar_one(),
            connection.execute(text("SELECT text FROM messages WHERE id = 4711")).scalar_one(),
            connection.execute(text(search)).scalar_one(),
        )


def found(q: str) -> list[int]:
    """Return the conversations that a search finds."""
    searched = search.find(search_query.parse(q, filters={}), None, filters={})
    assert searched.condition is not None
    ids = list(db.session.scalars(select(Conversation.id).where(searched.condition)))
    db.session.rollback()
    return ids


@pytest.mark.timeout(240)
def test_each_revision_keeps_fifty_thousand_messages_forward_and_back(blank: Flask) -> None:
    migrate.upgrade(FIRST)
    with db.engine.begin() as connection:
        seed(connection)
    kept = (MESSAGES, CONVERSATIONS, "word4711 bonjour", 1)
    assert facts() == kept
    for revision in migrate.revisions()[1:]:
        migrate.upgrade(revision)
        assert facts() == kept, revision
    assert migrate.schema().state is SchemaState.CURRENT
    for revision in reversed(migrate.revisions()[:-1]):
        migrate.downgrade(revision)
        assert facts() == kept, revision
    migrate.upgrade()
    assert facts() == kept


@pytest.mark.parametrize("stored_in", ["the first schema", "the newest schema by an old process"])
def test_the_scheduler_indexes_what_an_older_release_stored(blank: Flask, stored_in: str) -> None:
    migrate.upgrade(FIRST if stored_in == "the first schema" else migrate.LATEST)
    with db.engine.begin() as connection:
        seed(connection, messages=1_200)  # more than a batch
    migrate.upgrade()
    assert found("1520000000000411") == [411]
    assert found("word711") == found('"contact 411"') == []
    assert indexing.index_stored in scheduler.DUTIES
    indexing.index_stored()
    assert found("word711") == [212]
    assert found('"contact 411"') == [411]
    assert db.session.scalars(select(Message.id).where(Message.terms.is_(None))).first() is None


def test_indexing_leaves_what_is_indexed_already(blank: Flask) -> None:
    migrate.upgrade()
    with db.engine.begin() as connection:
        seed(connection, messages=1_200)
        connection.execute(text("UPDATE messages SET terms = 'indexed' WHERE id = 711"))
    indexing.index_stored()
    indexing.index_stored()
    assert (found("word711"), found("word712")) == ([], [213])


@pytest.mark.timeout(240)
def test_a_backup_of_each_revision_restores_into_the_newest(blank: Flask, tmp_path: Path) -> None:
    migrate.upgrade(FIRST)
    with db.engine.begin() as connection:
        seed(connection, messages=5_000)
    for revision in migrate.revisions():
        migrate.upgrade(revision)
        transfer.back_up(tmp_path / revision)
    for revision in migrate.revisions():
        transfer.restore(tmp_path / revision, replace=True)
        assert migrate.schema().state is SchemaState.CURRENT
        assert facts() == (5_000, CONVERSATIONS, "word4711 bonjour", 1)


def columns() -> dict[str, bool]:
    """Return every column of the database, and whether an INSERT may leave it out."""
    inspector = inspect(db.engine)
    with db.engine.connect() as connection:
        present = tables.names(connection)
    return {
        f"{name}.{each['name']}": bool(each["nullable"] or each["default"] is not None)
        for name in present
        for each in inspector.get_columns(name)
    }


def test_each_revision_only_expands_the_schema_before_it(blank: Flask) -> None:
    migrate.upgrade(FIRST)
    before = columns()
    for revision in migrate.revisions()[1:]:
        migrate.upgrade(revision)
        after = columns()
        gone = before.keys() - after.keys()
        old_tables = {name.partition(".")[0] for name in before}
        demanded = {
            name for name in after.keys() - before.keys() if name.partition(".")[0] in old_tables and not after[name]
        }
        assert (gone | demanded) - CONTRACTED.get(revision, set()) == set(), revision
        before = after
