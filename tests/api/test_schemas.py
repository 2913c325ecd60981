"""What programs may send."""

import pytest
from pydantic import ValidationError

from app.api.schemas import BackfillAsked, ConversationsAsked, IdentitiesAsked


def test_what_nobody_asked_for_is_refused() -> None:
    assert BackfillAsked(accountId="178").batchSize == 10
    for more in ({"role": "admin"}, {"batchSize": 101}, {"batchSize": "ten"}):
        with pytest.raises(ValidationError):
            BackfillAsked.model_validate({"accountId": "178"} | more)


def test_a_search_has_at_most_two_hundred_characters() -> None:
    assert ConversationsAsked(q="x" * 200).limit == 50
    with pytest.raises(ValidationError):
        ConversationsAsked(q="x" * 201)


def test_reasons_are_in_the_document() -> None:
    reason = IdentitiesAsked.model_json_schema()["properties"]["reason"]
    assert "never_tried" in str(reason)
