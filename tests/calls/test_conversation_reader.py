"""Reading conversation pages one after another, whole or in smaller pages."""

import pytest
from flask import Flask

from app import clock, settings
from app.calls import circuit_breaker
from app.calls.conversation_reader import ConversationReader
from app.instagram.errors import GraphAPIError
from app.models.account import Account
from app.models.call import Purpose
from tests.calls.lookups import noted
from tests.factories import CAMILLE, GHOST, LEA, MAISON_LUNE, RUI, SHY, a_sandbox_account
from tests.instagram.graph import Graph, always, answer
from tests.support.processes import Sandbox

PEOPLE = (LEA, CAMILLE, RUI, SHY, GHOST)  # the last one wrote last and is listed first


def thread_of(person: str) -> str:
    return f"t_{MAISON_LUNE}_{person}"


def spoil(meta: Sandbox, *people: str) -> None:
    """Have Meta return error 1 for every page with the conversation of one of these contacts."""
    for person in people:
        meta.request("PATCH", f"conversations/{person}", error="1")


def _write(meta: Sandbox, *people: str) -> None:
    """Have each write a second after the one before, the last one now."""
    now_ms = int(clock.now().timestamp() * 1000)
    for earlier, person in zip(reversed(range(len(people))), people, strict=True):
        meta.post("send", person=person, text="Bonjour", at_ms=now_ms - earlier * 1000)


def read_all(reader: ConversationReader) -> tuple[list[str], list[str | None]]:
    """Return the IDs of the conversations that were read and of those that were skipped."""
    found, skipped = list[str](), list[str | None]()
    while True:
        page = reader.next()
        found += [each.ig_conversation_id for each in page.threads]
        skipped += [each.id for each in page.skipped]
        if page.after is None:
            return found, skipped


@pytest.fixture
def reader(meta: Sandbox) -> ConversationReader:
    account: Account = a_sandbox_account()
    _write(meta, LEA, CAMILLE, RUI)
    return ConversationReader(account.id, Purpose.SYNC)


def test_pages_follow_each_other_to_the_end(reader: ConversationReader) -> None:
    first = reader.next(most=2)
    assert (len(first.threads), reader.after is None) == (2, False)
    assert len(reader.next(most=2).threads) == 1
    assert (reader.after, reader.calls) == (None, 2)


def test_a_page_that_fails_is_requested_in_smaller_pages(reader: ConversationReader, meta: Sandbox) -> None:
    meta.post("faults", mode="1", call="conversations", count=2)
    assert len(reader.next().threads) == 3
    assert (reader.size, reader.calls, len(noted())) == (3, 3, 3)


def test_a_page_that_fails_in_every_size_is_given_up(reader: ConversationReader, meta: Sandbox) -> None:
    meta.post("faults", mode="1", call="conversations")
    with pytest.raises(GraphAPIError):
        reader.next()
    assert reader.calls == 4  # the fourth asks for the ID alone: a fifth failure would stop the account's calls


@pytest.fixture
def crowded(meta: Sandbox) -> ConversationReader:
    account: Account = a_sandbox_account()
    _write(meta, *PEOPLE)
    return ConversationReader(account.id, Purpose.SYNC)


def test_a_conversation_that_meta_cannot_return_is_skipped_and_the_rest_is_read(
    crowded: ConversationReader, meta: Sandbox
) -> None:
    spoil(meta, RUI)
    found, skipped = read_all(crowded)
    assert found == [thread_of(person) for person in (GHOST, SHY, CAMILLE, LEA)]
    assert skipped == [thread_of(RUI)]
    assert crowded.size == 50
    assert [row.code for row in noted()] == ["1", "1", "1", None, None, None, "1", None, None]


def test_a_conversation_that_was_unreadable_before_is_found_with_fewer_calls(
    crowded: ConversationReader, meta: Sandbox
) -> None:
    spoil(meta, RUI)
    before = read_all(crowded)
    again = ConversationReader(crowded.account_id, Purpose.SYNC)
    assert read_all(again) == before
    assert (crowded.calls, again.calls) == (9, 5)


def test_a_conversation_that_is_readable_again_costs_no_extra_call(crowded: ConversationReader, meta: Sandbox) -> None:
    spoil(meta, RUI)
    read_all(crowded)
    meta.request("PATCH", f"conversations/{RUI}", error=None)
    again = ConversationReader(crowded.account_id, Purpose.SYNC)
    found, skipped = read_all(again)
    assert (len(found), skipped, again.calls) == (5, [], 1)


def test_unreadable_conversations_at_both_ends_stop_no_other_call_of_the_account(
    crowded: ConversationReader, meta: Sandbox
) -> None:
    spoil(meta, GHOST, LEA)
    found, skipped = read_all(crowded)
    assert (len(found), skipped) == (3, [thread_of(GHOST), thread_of(LEA)])
    assert circuit_breaker.closed_at(crowded.account_id) <= clock.now()


def test_large_pages_that_are_refused_are_read_in_smaller_ones_without_their_times(
    crowded: ConversationReader, meta: Sandbox
) -> None:
    meta.request("PATCH", "settings", largest_page=10, updated_time=False)
    found, skipped = read_all(crowded)
    assert (len(found), skipped, crowded.calls) == (5, [], 2)


def test_an_empty_page_without_cursors_is_not_the_end(crowded: ConversationReader, meta: Sandbox) -> None:
    meta.request("PATCH", "settings", sparse_pages=True)
    assert len(read_all(crowded)[0]) == 5


def test_a_page_with_its_own_cursor_ends_the_reading(app: Flask) -> None:
    paging = {"cursors": {"after": "QVFIUm"}, "next": "https://graph.instagram.com/?after=QVFIUm"}
    account: Account = a_sandbox_account()
    with Graph(always(answer({"data": [], "paging": paging}))) as graph, settings.using(graph_instagram_url=graph.url):
        reader = ConversationReader(account.id, Purpose.SYNC)
        assert reader.next().after == "QVFIUm"
        with pytest.raises(GraphAPIError):
            reader.next()


def test_a_refusal_that_a_smaller_page_would_not_change_is_not_repeated(
    reader: ConversationReader, meta: Sandbox
) -> None:
    meta.post("faults", mode="190", call="conversations")
    with pytest.raises(GraphAPIError):
        reader.next()
    assert reader.calls == 1
