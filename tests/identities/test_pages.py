"""Reading conversation pages in turn, whole or in pieces."""

import pytest

from app.identities.pages import Reader
from app.instagram.errors import CallFailed
from app.models.identity import Purpose
from app.models.inbox import Account
from tests.bed.processes import Sandbox
from tests.calls.lookups import noted
from tests.cast import CAMILLE, LEA, RUI, a_sandbox_account


@pytest.fixture
def reader(meta: Sandbox) -> Reader:
    account: Account = a_sandbox_account()
    for person in (LEA, CAMILLE, RUI):
        meta.post("send", person=person, text="Bonjour")
    return Reader(account.id, Purpose.SYNC)


def test_pages_follow_each_other_to_the_end(reader: Reader) -> None:
    first = reader.next(most=2)
    assert (len(first.threads), reader.after is None) == (2, False)
    assert len(reader.next(most=2).threads) == 1
    assert (reader.after, reader.calls) == (None, 2)


@pytest.mark.row("F18")
def test_a_page_that_fails_is_asked_for_in_smaller_pieces(reader: Reader, meta: Sandbox) -> None:
    meta.post("faults", mode="1", call="conversations", count=2)
    assert len(reader.next().threads) == 3
    assert (reader.size, reader.calls, len(noted())) == (3, 3, 3)


def test_a_page_that_fails_in_every_size_is_given_up(reader: Reader, meta: Sandbox) -> None:
    meta.post("faults", mode="1", call="conversations")
    with pytest.raises(CallFailed):
        reader.next()
    assert reader.calls == 4


def test_a_refusal_that_a_smaller_page_would_not_change_is_not_repeated(reader: Reader, meta: Sandbox) -> None:
    meta.post("faults", mode="190", call="conversations")
    with pytest.raises(CallFailed):
        reader.next()
    assert reader.calls == 1
