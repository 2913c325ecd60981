"""Plans of PostgreSQL that depend on the values of a statement."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from sqlalchemy import func, select

from app.db.engine import db, is_sqlite

_SETTING = "plan_cache_mode"  # for this transaction; of a session it is force_generic_plan (postgresql.py)
_BEGIN = select(func.set_config(_SETTING, "force_custom_plan", True))
_END = select(func.set_config(_SETTING, "force_generic_plan", True))
_active: ContextVar[bool] = ContextVar("statements are planned for their values", default=False)


@contextmanager
def planned_for_values() -> Iterator[None]:
    """Let PostgreSQL plan the statements of a block for their values: times, limits, the words of a search.

    Without knowing them, it reads whole tables for a time or limit that selects few rows. Not for lookups by key,
    whose planning takes longer than they do.
    """
    if is_sqlite() or _active.get():
        yield
        return
    token = _active.set(True)
    try:
        db.session.execute(_BEGIN)
        yield
        db.session.execute(_END)  # not after an error, which ends the transaction and so the setting
    finally:
        _active.reset(token)
