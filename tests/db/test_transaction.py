"""Write transactions: what is committed, what is refused, and which writer waits."""

import multiprocessing
import secrets
import sqlite3
import threading
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import NullPool, create_engine, select, text, update

from app import change_tokens, clock, settings
from app.db import engine, transaction
from app.db.engine import db
from app.db.transaction import WriteOutsideTransaction
from app.errors import Unavailable
from app.factory import create_app
from app.models.account import Account
from tests.factories import ATELIER_NORD, an_account

PROCESSES, ROUNDS = 4, 25


def name_of(account_id: int) -> str | None:
    db.session.rollback()
    return db.session.execute(select(Account.username).where(Account.id == account_id)).scalar_one()


def test_a_block_that_ends_well_is_committed(app: Flask) -> None:
    account = an_account()
    with transaction.write() as tx:
        tx.execute(update(Account).values(username="renamed"))
    assert name_of(account.id) == "renamed"


def test_a_block_that_raises_changes_nothing(app: Flask) -> None:
    account = an_account()
    with pytest.raises(ZeroDivisionError), transaction.write() as tx:
        tx.execute(update(Account).values(username="renamed"))
        raise ZeroDivisionError
    assert name_of(account.id) == "maison.lune"


def test_a_savepoint_is_undone_alone(app: Flask) -> None:
    account = an_account()
    with transaction.write() as tx:
        tx.execute(update(Account).values(username="kept"))
        with pytest.raises(ZeroDivisionError), tx.savepoint():
            tx.execute(update(Account).values(username="lost"))
            raise ZeroDivisionError
    assert name_of(account.id) == "kept"


def test_a_change_outside_a_transaction_is_refused(app: Flask) -> None:
    an_account()
    with pytest.raises(WriteOutsideTransaction):
        db.session.execute(update(Account).values(username="stray"))
    db.session.rollback()
    db.session.add(Account(ig_account_id=ATELIER_NORD))
    with pytest.raises(WriteOutsideTransaction):
        db.session.flush()
    db.session.rollback()


def test_a_transaction_inside_a_transaction_is_refused(app: Flask) -> None:
    with transaction.write(), pytest.raises(WriteOutsideTransaction), transaction.write():
        pass


def test_touched_accounts_look_different_after_the_commit_alone(app: Flask) -> None:
    account = an_account()
    before = change_tokens.current(account.id)
    with transaction.write() as tx:
        tx.mark_changed(account.id)
        assert change_tokens.current(account.id) == before
    assert change_tokens.current(account.id) != before
    after = change_tokens.current(account.id)
    with pytest.raises(ZeroDivisionError), transaction.write() as tx:
        tx.mark_changed(account.id)
        raise ZeroDivisionError
    assert change_tokens.current(account.id) == after


def test_writers_of_many_threads_lose_nothing(app: Flask) -> None:
    account = an_account(username="0")

    def count_up() -> None:
        with app.app_context():
            for _ in range(ROUNDS):
                _add_one()

    threads = [threading.Thread(target=count_up) for _ in range(PROCESSES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert name_of(account.id) == str(PROCESSES * ROUNDS)


def test_writers_of_many_processes_lose_nothing(app: Flask, database: str) -> None:
    account = an_account(username="0")
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=_count_up_elsewhere, args=(database,)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * PROCESSES
    assert name_of(account.id) == str(PROCESSES * ROUNDS)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)  # PostgreSQL's writers lock no file
def test_a_forked_process_takes_its_turn_like_any_other(app: Flask, database: str) -> None:
    an_account()  # opens the lock file, so that the child inherits its descriptor
    began, end = multiprocessing.Event(), multiprocessing.Event()
    child = multiprocessing.get_context("fork").Process(target=_hold, args=(app, began, end))
    child.start()
    try:
        assert began.wait(10)
        with pytest.raises(Unavailable):
            transaction._turn_of(f"{database.removeprefix('sqlite:///')}.lock", clock.monotonic())
    finally:
        end.set()
        child.join(10)
    with transaction.write() as tx:
        tx.execute(update(Account).values(username="afterwards"))


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)  # PostgreSQL's writers lock no whole database
def test_a_database_held_by_somebody_else_is_unavailable_in_time(app: Flask, database: str) -> None:
    an_account()
    other = sqlite3.connect(database.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(Unavailable), transaction.write():
            pass
    finally:
        other.rollback()
        other.close()
    with transaction.write() as tx:
        tx.execute(update(Account).values(username="afterwards"))


def test_a_folder_that_is_gone_is_unavailable_rather_than_a_crash(app: Flask, tmp_path: Path) -> None:
    with settings.using(database_url=f"sqlite:///{tmp_path}/no/such/folder/file.sqlite3"):
        nowhere = create_app()
    with nowhere.app_context(), pytest.raises(Unavailable), transaction.write():
        pass


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_connection_that_died_unused_is_replaced_and_one_that_died_just_now_costs_one_try(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    account_id = an_account().id
    db.session.remove()
    _end_every_connection()
    with pytest.raises(Unavailable), transaction.write() as tx:
        tx.execute(update(Account).values(username="lost"))
    with transaction.write() as tx:
        tx.execute(update(Account).values(username="the next try"))
    monkeypatch.setattr(engine, "IDLE_SECONDS", 0)
    _end_every_connection()
    with transaction.write() as tx:
        tx.execute(update(Account).values(username="after a pause"))
    assert name_of(account_id) == "after a pause"


def _end_every_connection() -> None:
    apart = create_engine(db.engine.url, poolclass=NullPool)
    ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> "
    with apart.connect() as connection:
        connection.execute(text(ended + "pg_backend_pid()"))


def _add_one() -> None:
    with transaction.write() as tx:
        # The lock says "read, then write" to PostgreSQL; SQLite's writers stand in line already.
        number = tx.execute(text("SELECT username FROM accounts" + _for_update())).scalar_one()
        tx.execute(update(Account).values(username=str(int(number) + 1)))


def _for_update() -> str:
    return "" if db.engine.dialect.name == "sqlite" else " FOR UPDATE"


def _hold(app: Flask, began: Event, end: Event) -> None:
    with app.app_context(), transaction.write():
        began.set()
        end.wait(10)


def _count_up_elsewhere(database: str) -> None:
    with settings.using(database_url=database), create_app().app_context():
        for _ in range(ROUNDS):
            _add_one()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_write_ahead_log_is_cut_once_a_long_reader_has_gone(
    app: Flask, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "LOG_BYTES", 500_000)
    account, path = an_account(), Path(database.removeprefix("sqlite:///"))
    log = path.with_name(path.name + "-wal")
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM accounts").fetchall()
    while log.stat().st_size <= 2 * engine.LOG_BYTES:
        with transaction.write() as tx:
            tx.execute(update(Account).values(state_reason=secrets.token_hex(100_000)))
    engine.trim_log()
    assert log.stat().st_size > engine.LOG_BYTES
    reader.close()
    engine.trim_log()
    assert log.stat().st_size == 0
    assert name_of(account.id) == "maison.lune"
