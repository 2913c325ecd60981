"""Backup, restore and copy, between all kinds of databases."""

import json
import shutil
import zipfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from flask import Flask
from sqlalchemy import func, inspect, select, text

from app import clock, core, settings
from app.accounts import connect, listing
from app.backup import archive, deletions, tables, transfer
from app.db import migrate, transaction
from app.db.engine import db
from app.db.migrate import SchemaState
from app.db.types import UTCDateTime
from app.erasure import accounts as account_erasure
from app.erasure import contacts
from app.errors import Conflict, Invalid
from app.identities import observations
from app.identities.observations import UNDATED, ProfileObservation
from app.inbox import search, search_query
from app.models.account import Account
from app.models.conversation import Conversation, Message
from app.models.identity import Identity, Source, StoredAvatar
from app.users import users
from app.viewer import OPERATOR, Role
from tests.factories import (
    ATELIER_NORD,
    CAMILLE,
    LEA,
    MAISON_LUNE,
    RUI,
    a_message_event,
    an_account,
    deliver,
    people_wrote,
)
from tests.support import databases, postgresql, snapshot
from tests.support.webhooks import receive_webhook

TOKEN = "IGAA-a-token-that-must-survive"


@pytest.fixture(params=["sqlite", "postgresql"])
def other(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    """A second app whose database has no tables."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'new machine' / 'other.sqlite3'}"
    else:
        server = request.getfixturevalue("postgresql_url")
        postgresql.drop(server, "other")
        url = databases.address(postgresql.create(server, "other"))
    (tmp_path / "elsewhere").mkdir()
    with settings.using(database_url=url, nametag_data_dir=tmp_path / "elsewhere"):
        yield core.create_core()
    if request.param == "postgresql":
        postgresql.drop(server, "other")


@pytest.fixture
def filled(app: Flask) -> Flask:
    """An installation with something in most tables, and values that databases store differently."""
    account = an_account(token=TOKEN)
    users.add_user(OPERATOR, "nora@example.com", role=Role.ADMIN, password="a moonlit correct horse")
    people_wrote(LEA, RUI, CAMILLE)
    said = "Où est cet atelier ? 🧵\u200d\n\t\\"
    deliver(a_message_event(LEA, said, attachments=[{"type": "x"}]))
    receive_webhook(b"[]")
    with transaction.write() as tx:
        seen = ProfileObservation(LEA, "lea.moreau", "Léa Moreau", None, Source.LEGACY, UNDATED, {"id": LEA, "x": None})
        observations.record(tx, account.id, seen)
        picture = {"content": bytes(range(256)), "version": "1", "tried_at": clock.now()}
        tx.execute(tx.insert(StoredAvatar).values(identity_id=1, **picture))
    return app


def in_app(app: Flask) -> Any:
    return core.app_context_of(app)


def file_in(folder: Path) -> Path:
    return folder / "nametag.backup"


def test_a_backup_restores_every_row_into_either_database(filled: Flask, other: Flask, tmp_path: Path) -> None:
    before = snapshot.tables()
    head = transfer.back_up(file_in(tmp_path))
    with in_app(other):
        done = transfer.restore(file_in(tmp_path))
        assert done.unreadable == []
        after = snapshot.tables()
        assert {name: len(rows) for name, rows in after.items()} == {name: len(rows) for name, rows in before.items()}
        assert head.tables["messages"].rows == 4
        token = db.session.scalars(select(Account.token)).one()
        assert token is not None
        assert token.reveal() == TOKEN
        identity = db.session.scalars(select(Identity).where(Identity.ig_participant_id == LEA)).one()
        assert (identity.name_at, identity.raw_answer) == (UNDATED, {"id": LEA, "x": None})
        assert db.session.scalars(select(StoredAvatar.content)).one() == bytes(range(256))
        digests = [digest_of(each) for each in tables_here()]
    assert [digest_of(each) for each in tables_here()] == digests


def tables_here() -> list[tables.Table]:
    with db.engine.connect() as connection:
        return sorted(tables.describe(connection), key=lambda each: each.name)


def digest_of(found: tables.Table) -> tuple[str, int, int]:
    tally = tables.Tally()
    with tables.snapshot() as connection:
        for line in tables.read(connection, found):
            tally.add(line)
    return found.name, tally.rows, tally.digest


def contacts_found(q: str) -> list[str]:
    searched = search.find(search_query.parse(q, filters={}), None, filters={})
    assert searched.condition is not None
    found = list(db.session.scalars(select(Conversation.ig_participant_id).where(searched.condition)))
    db.session.rollback()
    return found


def test_a_restored_installation_searches_and_stores(filled: Flask, other: Flask, tmp_path: Path) -> None:
    transfer.back_up(file_in(tmp_path))
    with in_app(other):
        transfer.restore(file_in(tmp_path))
        assert migrate.schema().state is SchemaState.CURRENT
        assert contacts_found("atelier") == contacts_found("ou est cet") == contacts_found("lea.moreau") == [LEA]
        people_wrote("1520000000000099")  # IDs continue
        assert db.session.scalar(select(func.count()).select_from(Message)) == 5


def test_a_backup_is_one_moment_while_others_write(filled: Flask, tmp_path: Path) -> None:
    with tables.snapshot() as connection:
        seen = {each.name: each for each in tables.describe(connection)}
        assert len(list(tables.read(connection, seen["conversations"]))) == 3
        people_wrote("1520000000000099")
        assert len(list(tables.read(connection, seen["messages"]))) == 4
    assert transfer.back_up(file_in(tmp_path)).tables["messages"].rows == 5


def test_a_backup_is_private_and_holds_no_key(filled: Flask, tmp_path: Path) -> None:
    head = transfer.back_up(file_in(tmp_path))
    assert file_in(tmp_path).stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(file_in(tmp_path)) as packed:
        inside = b"".join(packed.read(name) for name in packed.namelist())
    for key in (*settings.current().token_encryption_keys, settings.current().secret_key, TOKEN):
        assert key.encode() not in inside
    assert head.keys == archive.fingerprints()
    with pytest.raises(Conflict, match="exists"):
        transfer.back_up(file_in(tmp_path))


def test_a_database_in_use_is_replaced_only_on_request(filled: Flask, tmp_path: Path) -> None:
    transfer.back_up(file_in(tmp_path))
    before = snapshot.tables()
    people_wrote("1520000000000099")
    with pytest.raises(Conflict, match="--replace"):
        transfer.restore(file_in(tmp_path))
    assert db.session.scalar(select(func.count()).select_from(Message)) == 5
    db.session.rollback()
    transfer.restore(file_in(tmp_path), replace=True)
    assert snapshot.tables() == before


def test_a_restore_that_fails_changes_nothing(filled: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    transfer.back_up(file_in(tmp_path))
    people_wrote("1520000000000099")
    before = snapshot.tables()

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(deletions, "replay", broken)
    with pytest.raises(RuntimeError):
        transfer.restore(file_in(tmp_path), replace=True)
    assert snapshot.tables() == before


@pytest.mark.parametrize("damage", ["cut", "flipped", "head", "text", "missing"])
def test_a_damaged_backup_is_refused_before_anything_changes(filled: Flask, tmp_path: Path, damage: str) -> None:
    file = file_in(tmp_path)
    transfer.back_up(file)
    before = snapshot.tables()
    damaged(file, damage)
    with pytest.raises(Invalid, match="Nothing was changed"):
        transfer.restore(file, replace=True)
    assert snapshot.tables() == before


def damaged(file: Path, damage: str) -> None:
    whole = file.read_bytes()
    if damage == "cut":
        file.write_bytes(whole[: len(whole) // 2])
    elif damage == "flipped":
        with zipfile.ZipFile(file) as packed:
            middle = packed.getinfo("tables/messages.jsonl").header_offset + 100  # behind the header of its file
        file.write_bytes(whole[:middle] + bytes([whole[middle] ^ 0xFF]) + whole[middle + 1 :])
    elif damage == "text":
        file.write_text("SELECT 1;")
    elif damage == "missing":
        file.unlink()
    else:
        change_head(file, lambda head: head["tables"]["messages"].update(rows=3))


def change_head(file: Path, change: Any) -> None:
    fresh = file.with_suffix(".changed")
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(fresh, "w") as new:
        for name in old.namelist():
            held = old.read(name)
            if name == archive.HEAD:
                head = json.loads(held)
                change(head)
                held = json.dumps(head).encode()
            new.writestr(name, held)
    shutil.move(fresh, file)


def test_a_backup_of_a_newer_version_is_refused_with_that_version(filled: Flask, tmp_path: Path) -> None:
    transfer.back_up(file_in(tmp_path))
    before = snapshot.tables()
    change_head(file_in(tmp_path), lambda head: head.update(revision="9999", version="7.1.0"))
    with pytest.raises(Conflict, match=r"Nametag 7\.1\.0 made this backup.*Install Nametag 7\.1\.0"):
        transfer.restore(file_in(tmp_path), replace=True)
    assert snapshot.tables() == before


def test_a_database_of_other_software_is_never_dropped(filled: Flask, other: Flask, tmp_path: Path) -> None:
    transfer.back_up(file_in(tmp_path))
    with in_app(other):
        migrate.make_folder()
        with db.engine.begin() as connection:
            connection.execute(text("CREATE TABLE wiki (page text)"))
        with pytest.raises(Conflict, match="other software"):
            transfer.restore(file_in(tmp_path), replace=True)
        assert inspect(db.engine).get_table_names() == ["wiki"]


def test_without_the_key_a_restore_names_the_accounts_to_reconnect(filled: Flask, other: Flask, tmp_path: Path) -> None:
    made_with = archive.fingerprints()
    transfer.back_up(file_in(tmp_path))
    with settings.using(token_encryption_keys=(Fernet.generate_key().decode(),)), in_app(other):
        done = transfer.restore(file_in(tmp_path))
        assert (done.unreadable, done.missing_keys) == ([MAISON_LUNE], made_with)
        assert db.session.scalar(select(func.count()).select_from(Message)) == 4


def delete(contact: str) -> None:
    conversation = db.session.scalars(select(Conversation.id).where(Conversation.ig_participant_id == contact)).one()
    contacts.delete_contact(OPERATOR, conversation)


def test_a_contact_deleted_after_the_backup_stays_deleted(filled: Flask, tmp_path: Path) -> None:
    transfer.back_up(file_in(tmp_path))
    message = a_message_event(LEA, "Où est cet atelier ?", at_ms=int(clock.now().timestamp() * 1000) - 60_000)
    delete(LEA)
    done = transfer.restore(file_in(tmp_path), replace=True)
    assert done.replayed == deletions.RepeatedDeletions(contacts=1)
    assert snapshot.places_of(LEA, "lea.moreau", "Léa Moreau", "atelier ?") == set()
    deliver(message)
    assert snapshot.places_of(LEA) == set()
    assert snapshot.places_of(RUI) >= {"conversations", "messages", "identities"}


@pytest.mark.parametrize("given", ["data directory", "copy"])
def test_deletions_are_repeated_when_the_database_is_lost(
    filled: Flask, other: Flask, tmp_path: Path, given: str
) -> None:
    transfer.back_up(file_in(tmp_path))
    delete(LEA)
    with settings.using(nametag_data_dir=tmp_path / "ours"):
        deletions.keep()
        held = deletions.path()
    assert held.stat().st_mode & 0o777 == 0o600
    assert LEA not in held.read_text()
    copy = tmp_path / "copy.jsonl"
    shutil.move(held, copy)
    with in_app(other):
        if given == "data directory":
            shutil.copy(copy, deletions.path())
        transfer.restore(file_in(tmp_path), deletions_file=copy if given == "copy" else None)
        assert snapshot.places_of(LEA, "lea.moreau", "Léa Moreau") == set()


def test_an_account_removed_after_the_backup_stays_removed(filled: Flask, tmp_path: Path) -> None:
    an_account(ATELIER_NORD)
    transfer.back_up(file_in(tmp_path))
    connect.remove(OPERATOR, MAISON_LUNE)
    account_erasure.delete_pending()
    for _ in range(2):  # the second restore knows it from the first
        done = transfer.restore(file_in(tmp_path), replace=True)
        assert done.replayed == deletions.RepeatedDeletions(accounts=1)
        assert [each.ig_account_id for each in listing.accounts(OPERATOR)] == [ATELIER_NORD]
        assert db.session.scalar(select(func.count()).select_from(Message)) == 0
        db.session.rollback()


def test_what_a_contact_wrote_after_an_older_deletion_stays(filled: Flask, tmp_path: Path) -> None:
    delete(LEA)
    in_five_seconds = int((clock.now() + timedelta(seconds=5)).timestamp() * 1000)
    deliver(a_message_event(LEA, "Me revoilà", at_ms=in_five_seconds))
    transfer.back_up(file_in(tmp_path))
    done = transfer.restore(file_in(tmp_path), replace=True)
    assert done.replayed == deletions.RepeatedDeletions()
    assert "messages" in snapshot.places_of("Me revoilà")


def test_a_process_that_uses_the_database_stops_a_restore(filled: Flask, tmp_path: Path) -> None:
    transfer.back_up(file_in(tmp_path))
    if db.engine.dialect.name == "sqlite":
        pytest.skip("readers of SQLite keep their own snapshot")
    before = snapshot.tables()
    with tables.snapshot() as another:
        another.execute(text("SELECT * FROM messages"))
        with pytest.raises(Conflict, match="Stop all of them"):
            transfer.restore(file_in(tmp_path), replace=True)
    assert snapshot.tables() == before


def test_a_list_of_deletions_that_is_none_is_refused(filled: Flask, tmp_path: Path) -> None:
    transfer.back_up(file_in(tmp_path))
    wrong = tmp_path / "wrong.jsonl"
    wrong.write_text("[1]\n")
    with pytest.raises(Invalid, match="is not a list of deletions"):
        transfer.restore(file_in(tmp_path), replace=True, deletions_file=wrong)


def test_the_list_of_deletions_is_written_only_when_it_has_grown(filled: Flask) -> None:
    deletions.keep()
    assert not deletions.path().exists()
    delete(LEA)
    deletions.keep()
    written = deletions.path().stat().st_mtime_ns
    deletions.keep()
    assert deletions.path().stat().st_mtime_ns == written
    delete(RUI)
    deletions.keep()
    assert len(deletions.path().read_text().splitlines()) == 2


def test_a_copy_has_the_same_rows_in_the_other_database(filled: Flask, other: Flask) -> None:
    copied = transfer.copy(other)
    ours = [digest_of(each) for each in tables_here()]
    with in_app(other):
        assert [digest_of(each) for each in tables_here()] == ours
        assert copied == {name: rows for name, rows, _ in ours}
        assert contacts_found("atelier") == contacts_found("lea.moreau") == [LEA]
        people_wrote("1520000000000099")
        assert db.session.scalar(select(func.count()).select_from(Message)) == 5
    with pytest.raises(Conflict, match="in use"):
        transfer.copy(other)


def test_a_copy_that_differs_is_undone(filled: Flask, other: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    written = tables.write

    def lossy(connection: Any, found: tables.Table, columns: list[str], lines: Iterator[bytes]) -> int:
        return written(connection, found, columns, [line.replace(b"lea.moreau", b"leo.moreau") for line in lines])

    monkeypatch.setattr(tables, "write", lossy)
    with pytest.raises(Conflict, match="identities arrived with other rows"):
        transfer.copy(other)
    with in_app(other):
        assert inspect(db.engine).get_table_names() == []


def test_every_type_of_the_schema_is_written_as_json(filled: Flask) -> None:
    for each in tables_here():
        for name, found in each.types.items():
            python_type = datetime_or(found)
            assert python_type in ("datetime", "bytes", "dict", "bool", "int", "float", "str", "object"), (
                each.name,
                name,
            )


def datetime_or(found: Any) -> str:
    return "datetime" if isinstance(found, UTCDateTime) else str(found.python_type.__name__)
