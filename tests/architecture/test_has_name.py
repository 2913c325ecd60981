"""What makes a contact known is said once: `Identity.has_name` is the only condition on username and name together."""

import re
from pathlib import Path

import pytest
from sqlalchemy import select

from app import clock
from app.db import transaction
from app.db.engine import db
from app.models.identity import Identity
from tests.factories import LEA, an_account, people_wrote

APP = Path(__file__).parents[2] / "app"
BY_HAND = re.compile(
    r"name\.is_(?:not)?\(None\)[\s,]*[&|]?\s*(?:[A-Z]\w+|cls)\.(?:user)?name\.is_"  # in a query
    r"|not \(\w+\.username or"  # of an observation
)


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(
    ("username", "name", "has_name"),
    [(None, None, False), ("lea.moreau", None, True), (None, "Léa", True), ("lea.moreau", "Léa", True)],
)
def test_a_row_and_a_query_agree_on_who_has_a_name(username: str | None, name: str | None, has_name: bool) -> None:
    an_account()
    people_wrote(LEA)
    with transaction.write() as tx:
        row = tx.session.scalars(select(Identity)).one()
        row.username, row.name, row.username_at = username, name, clock.now()
    assert db.session.scalars(select(Identity)).one().has_name is has_name
    assert bool(db.session.scalars(select(Identity.id).where(Identity.has_name)).all()) is has_name
    assert bool(db.session.scalars(select(Identity.id).where(~Identity.has_name)).all()) is not has_name


def test_no_other_condition_asks_for_username_and_name() -> None:
    files = sorted(APP.rglob("*.py"))
    written = [path.relative_to(APP).as_posix() for path in files if BY_HAND.search(path.read_text())]
    assert written == ["models/identity.py"]
