"""PostgreSQL plans the statements of a block for their values, and all others once."""

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.db.engine import db
from app.db.planning import planned_for_values

CUSTOM, GENERIC = "force_custom_plan", "force_generic_plan"
pytestmark = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


def mode() -> str:
    return str(db.session.execute(text("SHOW plan_cache_mode")).scalar_one())


def test_statements_of_a_block_are_planned_for_their_values(app: Flask) -> None:
    with planned_for_values():
        with planned_for_values():
            assert mode() == CUSTOM
        assert mode() == CUSTOM
    assert mode() == GENERIC


def test_an_error_in_the_block_is_raised_and_ends_the_setting(app: Flask) -> None:
    with pytest.raises(DBAPIError), planned_for_values():
        db.session.execute(text("SELECT 1 / 0"))
    db.session.rollback()
    assert mode() == GENERIC
    with planned_for_values():
        assert mode() == CUSTOM


def test_a_block_that_ends_its_transaction_leaves_no_setting(app: Flask) -> None:
    with planned_for_values():
        db.session.rollback()
    assert mode() == GENERIC
