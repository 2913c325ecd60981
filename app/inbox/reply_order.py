"""Order of conversations that need a reply: the 24-hour window that ends soonest first, then closed ones, oldest first.

Two queries, each along a partial index, follow each other: open windows by the contact's newest message, closed ones
by how long the contact has waited.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Select, tuple_

from app.db import paging
from app.models.conversation import Conversation
from app.reply_state import WINDOW

S = TypeVar("S", bound=Select[*tuple[Any, ...]])
_CLOSED = ",closed"


class Position(NamedTuple):
    """The sort key of a row: its time (aware UTC) and its ID among the open or the closed windows."""

    at: datetime
    id: int
    closed: bool = False


def in_order(found: S, after: Position | None, *, now: datetime) -> Iterator[S]:
    """Yield the queries of the rows after `after`, in order; `found` lists conversations that need a reply."""
    ends = now - WINDOW
    if after is None or not after.closed:
        opened = (Conversation.last_incoming_at, Conversation.id)
        # One limit, not both: SQLite would begin at the first open window, and read all rows before the cursor again.
        begins = tuple_(*opened) > after[:2] if after and after.at > ends else Conversation.last_incoming_at > ends
        yield found.where(begins).order_by(*opened)
    waiting = (Conversation.needs_reply_since, Conversation.id)
    part = found.where(Conversation.last_incoming_at <= ends).order_by(*waiting)
    yield part.where(tuple_(*waiting) > after[:2]) if after and after.closed else part


def position_of(row: Any, *, now: datetime) -> Position:
    """Return the position of a row with the columns `id`, `last_incoming_at` and `needs_reply_since`."""
    closed = row.last_incoming_at <= now - WINDOW
    return Position(row.needs_reply_since if closed else row.last_incoming_at, row.id, closed)


def make_cursor(position: Position) -> str:
    """Return the cursor of a position."""
    return paging.make_cursor(*position[:2]) + _CLOSED * position.closed


def parse_cursor(text: str) -> Position:
    """Return the position of a cursor; raises Invalid for any other text."""
    return Position(*paging.parse_cursor(text.removesuffix(_CLOSED)), text.endswith(_CLOSED))
