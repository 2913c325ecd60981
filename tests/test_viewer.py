"""Account access: which accounts a viewer sees, one by one and in a query."""

import pytest
from sqlalchemy import select

from app.models.conversation import Conversation
from app.viewer import META, OPERATOR, Role, Viewer

LIMITED = Viewer(user_id=2, name="Oskar", role=Role.OPS, account_ids=frozenset({3, 4}))


@pytest.mark.parametrize(
    ("viewer", "seen"),
    [(OPERATOR, [1, 3, 4, None]), (LIMITED, [3, 4]), (META, [])],
    ids=["every account", "limited", "no account"],
)
def test_a_viewer_sees_its_accounts_alone(viewer: Viewer, seen: list[int | None]) -> None:
    assert [each for each in (1, 3, 4, None) if viewer.sees(each)] == seen
    assert viewer.sees_all is (viewer is OPERATOR)


def test_a_query_is_limited_to_the_viewers_accounts() -> None:
    found = select(Conversation.id)
    assert OPERATOR.visible(found, Conversation.account_id) is found
    limited = str(LIMITED.visible(found, Conversation.account_id).compile(compile_kwargs={"literal_binds": True}))
    assert "account_id IN (3, 4)" in limited or "account_id IN (4, 3)" in limited
