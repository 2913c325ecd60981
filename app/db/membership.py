"""The condition that a column has one of many values, in one parameter on PostgreSQL."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, any_, bindparam
from sqlalchemy.dialects.postgresql import ARRAY

from app.db.engine import is_sqlite


def one_of(column: Any, values: Collection[Any]) -> ColumnElement[bool]:
    """Return the condition that `column` has one of `values`, of which there may be hundreds.

    With `in_`, PostgreSQL and its driver would read a statement of hundreds of parameters, another one for each number
    of them.
    """
    if is_sqlite():
        return column.in_(values)  # type: ignore[no-any-return]  # of a column of any type
    return column == any_(bindparam(None, list(values), type_=ARRAY(column.type)))  # type: ignore[no-any-return]
