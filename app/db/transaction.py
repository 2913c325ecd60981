"""Write transactions, the only way to change rows. After the commit, pages learn which accounts changed."""

import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from sqlalchemy import Connection, CursorResult, Engine, Executable, Transaction, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import ORMExecuteState, Session

from app import change_tokens, clock
from app.db.engine import WAIT_SECONDS, Model, db, write_wait_seconds, writing
from app.errors import Unavailable

DatabaseUnavailable = (OperationalError, InterfaceError, PoolTimeout)
_POLL_SECONDS = 0.0005


class WriteOutsideTransaction(RuntimeError):
    """A change was attempted outside `write()`: a bug in Nametag, not wrong input."""


class Tx:
    """An open write transaction; functions that change rows take it as their first argument."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.changed: set[change_tokens.Change] = set()

    @property
    def session(self) -> Session:
        """The ORM session, which joins this transaction."""
        return db.session()

    def mark_changed(self, account_id: int, contact: str | None = None) -> None:
        """Mark an account as changed once the transaction is committed: its list and all its threads.

        With `contact`, the ID of a contact, only their thread; with `change_tokens.NO_CONTACT` no thread.
        """
        self.changed.add(account_id if contact is None else (account_id, contact))

    def execute(self, statement: Executable, parameters: Any = None) -> CursorResult[Any]:
        """Execute a Core statement on the transaction's connection, without the ORM session."""
        return self.connection.execute(statement, parameters)

    def insert(self, model: type[Model]) -> Any:
        """Return the dialect's INSERT for `model`, which supports ON CONFLICT on SQLite and PostgreSQL."""
        return insert_into(model, self.dialect)

    @property
    def dialect(self) -> str:
        """Name of the dialect: "sqlite" or "postgresql"."""
        return self.connection.dialect.name

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Open a block whose changes alone are rolled back if it raises."""
        with self.connection.begin_nested():
            yield


def insert_into(model: type[Model], dialect: str) -> Any:
    """Return an INSERT for `model` that supports ON CONFLICT, for statements that are built once and reused."""
    return (sqlite if dialect == "sqlite" else postgresql).insert(model.__table__)


@contextmanager
def write() -> Iterator[Tx]:
    """Open this thread's write transaction for a block. Commits at its end, rolls back if it raises.

    Raises Unavailable if the database can't be reached, is full, or other writers keep it locked for two seconds. All
    transactions of one request together wait no longer than that.
    """
    if is_open():
        raise WriteOutsideTransaction("a write transaction is already open; pass its tx instead of opening another")
    _leave_session(Session.rollback)  # ends an open read, whose snapshot may be old
    try:
        engine = db.engine
        with _turn(engine), _begun(engine) as connection:
            tx = Tx(connection)
            yield tx
            _leave_session(Session.commit)  # flushes; the connection commits afterwards
    except DatabaseUnavailable as error:
        raise Unavailable("database") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise Unavailable("database") from error
        raise
    if tx.changed:
        change_tokens.mark_changed(tx.changed)


def is_open() -> bool:
    """Return whether this thread has an open write transaction. No call to Meta is allowed in one."""
    return writing.get() is not None


_waited: ContextVar[float | None] = ContextVar("seconds that this request has waited for the database", default=None)


def begin_request() -> None:
    """Limit the total wait of this thread for the database to two seconds, until `end_request`."""
    _waited.set(0.0)


def end_request(_error: BaseException | None = None) -> None:
    """Let each transaction of this thread wait up to two seconds again."""
    _waited.set(None)


@contextmanager
def limited_request() -> Iterator[None]:
    """Limit the total wait of this thread for the database in a block, as `begin_request` and `end_request` do."""
    begin_request()
    try:
        yield
    finally:
        end_request()


@contextmanager
def waiting() -> Iterator[float]:
    """Yield the seconds that this request may still wait for the database; the time in the block is subtracted."""
    waited, began = _waited.get(), clock.monotonic()
    try:
        yield WAIT_SECONDS if waited is None else max(WAIT_SECONDS - waited, 0.0)
    finally:
        if waited is not None:
            _waited.set(waited + clock.monotonic() - began)


@contextmanager
def _begun(engine: Engine) -> Iterator[Connection]:
    with waiting() as left:
        connection, begun = _begin(engine, left)
    with connection, begun:
        token = writing.set(connection)
        try:
            yield connection
        finally:
            writing.reset(token)
            _leave_session(Session.rollback)


def _begin(engine: Engine, wait_seconds: float) -> tuple[Connection, Transaction]:
    token = write_wait_seconds.set(wait_seconds)
    connection = None
    try:
        connection = engine.connect()
        return connection, connection.begin()
    except BaseException:
        if connection is not None:
            connection.close()
        raise
    finally:
        write_wait_seconds.reset(token)


def _leave_session(leave: Callable[[Session], None]) -> None:
    # Creates no session for a request without one: that takes as long as a statement.
    if db.session.registry.has() and db.session().in_transaction():
        leave(db.session())


_threads = threading.Lock()
_lock_file: tuple[str, int] | None = None  # path and descriptor; used only by the thread that holds _threads


@contextmanager
def _turn(engine: Engine) -> Iterator[None]:
    # SQLite's own busy handler sleeps and is unfair. Queueing the writers of all threads and processes on a file lock
    # divides the slowest wait by five. PostgreSQL needs no such queue.
    path = engine.url.database
    if engine.dialect.name != "sqlite" or not path or path == ":memory:":
        yield
        return
    with waiting() as left:
        descriptor = _turn_of(f"{path}.lock", clock.monotonic() + left)
    try:
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        _threads.release()


def _turn_of(path: str, deadline: float) -> int:
    if not _threads.acquire(timeout=max(deadline - clock.monotonic(), 0)):
        raise Unavailable("database")
    try:
        return _locked(path, deadline)
    except BaseException:
        _threads.release()
        raise


def _locked(path: str, deadline: float) -> int:
    descriptor = _opened(path)
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if clock.monotonic() >= deadline:
                raise Unavailable("database") from None
            clock.sleep(_POLL_SECONDS)
        else:
            return descriptor


def _opened(path: str) -> int:
    """Return the descriptor of the lock file, which stays open: opening it each time took longer than locking it."""
    global _lock_file
    if _lock_file is None or _lock_file[0] != path:
        _close_lock_file()
        try:
            _lock_file = path, os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Unavailable("database") from error
    return _lock_file[1]


def _close_lock_file() -> None:
    global _lock_file
    if _lock_file is not None:
        os.close(_lock_file[1])
        _lock_file = None


os.register_at_fork(after_in_child=_close_lock_file)  # processes that share a descriptor share its lock


@event.listens_for(Session, "before_flush")
def _no_stray_flush(_session: Session, _context: object, _instances: object) -> None:
    if not is_open():
        raise WriteOutsideTransaction("rows change only inside transaction.write()")


@event.listens_for(Session, "do_orm_execute")
def _no_stray_statement(state: ORMExecuteState) -> None:
    if (state.is_insert or state.is_update or state.is_delete) and not is_open():
        raise WriteOutsideTransaction("rows change only inside transaction.write()")
