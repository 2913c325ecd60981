"""Search: contacts and messages of an account, by words and by characters."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, text

from app import clock, search_index
from app.db import transaction
from app.db.engine import db, is_sqlite
from app.inbox import api_queries, listing, search, search_query
from app.models.account import Account
from app.models.conversation import Conversation
from app.viewer import OPERATOR, Role, Viewer
from tests.factories import (
    ATELIER_NORD,
    CAMILLE,
    LEA,
    MAISON_LUNE,
    RUI,
    UNKNOWN_PERSON,
    a_message_event,
    an_account,
    deliver,
    named,
)

# Texts that attack search fields; a user may also search for each of them.
CLASSIC = (
    *("' OR 1=1 --", "' OR '1'='1", '" OR ""="', "1; DROP TABLE messages", "'; DELETE FROM accounts; --", "admin'--"),
    *(
        "x' UNION SELECT token FROM accounts --",
        "') OR ('a'='a",
        "1' AND SLEEP(5)#",
        "' OR pg_sleep(5) --",
        "0x27204f52",
    ),
    *(
        "%27%20OR%201%3D1",
        "%",
        "%%",
        "_",
        "__",
        "\\",
        "\\%",
        "\\'",
        "a%' --",
        "100%_\\",
        "*",
        "lea*",
        "^lea",
        "NEAR(a b)",
    ),
    *('"', '""', "'", "''", "words : lea", "account : a1", "rowid:1", "lea OR", "NOT lea", "AND", "(", "lea) OR (lea"),
    *("lea & rui", "lea | rui", "!lea", "lea:*", "<->", "{{7*7}}", "${7*7}", "\ufffd", "❤️", "ﷺ"),
)


@pytest.fixture
def account(app: Flask) -> Account:
    return an_account()


def said(who: str, words: str | None, **more: Any) -> None:
    deliver(a_message_event(who, words, **more))


def changed(mid: str, **what: Any) -> None:
    parties = {
        "sender": {"id": LEA},
        "recipient": {"id": MAISON_LUNE},
        "timestamp": int(clock.now().timestamp() * 1000),
    }
    deliver(parties | what)


def found(account: Account, q: str) -> set[str]:
    db.session.rollback()
    shown = listing.page(OPERATOR, account.id, listing.parse_filter(q=q), ig_account_id=account.ig_account_id)
    ids = [row.id for row in shown.rows]
    return set(db.session.scalars(db.select(Conversation.ig_participant_id).where(Conversation.id.in_(ids))))


@pytest.mark.parametrize("q", ["linen", "LINEN lamp", "lamp linen", "lin", "don’t", "café", "лам", "4471", "#4471"])
def test_words_of_messages_are_found_and_the_last_one_may_be_incomplete(account: Account, q: str) -> None:
    said(LEA, "Is the linen lamp (лампа) from order #4471 still there? I don’t see it in your café.")
    said(RUI, "Hello")
    assert found(account, q) == {LEA}


def test_all_words_have_to_be_in_one_message(account: Account) -> None:
    said(LEA, "linen")
    said(LEA, "velvet")
    assert found(account, "linen velvet") == set()


@pytest.mark.parametrize("q", ["lea", "@lea.moreau", "LEA.MOR", "oreau", "léa mo", "moreau léa", LEA, "000011"])
def test_contacts_are_found_by_username_name_and_id(account: Account, q: str) -> None:
    for who in (LEA, RUI, CAMILLE):
        said(who, "Hello")
    named(account, LEA, "lea.moreau", "Léa Moreau")
    named(account, RUI, "rui.costa", "Rui Costa")
    assert found(account, q) == {LEA}


def test_a_new_name_is_found_and_the_old_one_is_not(account: Account) -> None:
    said(RUI, "Hello")
    named(account, RUI, "rui.costa")
    named(account, RUI, "ruic")
    assert (found(account, "costa"), found(account, "ruic"), found(account, "uic")) == (set(), {RUI}, {RUI})


def test_the_short_id_finds_its_contact(account: Account) -> None:
    said(UNKNOWN_PERSON, "Hello")
    assert found(account, "@user_883201") == {UNKNOWN_PERSON}


def test_a_message_taken_back_is_no_longer_found_and_an_edit_is_found_as_it_is_now(account: Account) -> None:
    said(LEA, "zebrafinch", mid="first")
    said(RUI, "kingfisher", mid="second")
    changed("second", message_edit={"mid": "second", "text": "nightingale", "num_edit": 1})
    changed("first", message={"mid": "first", "is_deleted": True})
    assert [found(account, word) for word in ("zebrafinch", "kingfisher", "nightingale")] == [set(), set(), {RUI}]


def test_unsent_words_leave_the_file_when_the_index_is_merged(account: Account) -> None:
    said(LEA, "zebrafinch", mid="first")
    said(LEA, "nightingale")
    changed("first", message={"mid": "first", "is_deleted": True})
    search_index.merge_indexes()
    assert found(account, "nightingale") == {LEA}
    if is_sqlite():
        stored = db.session.execute(text("SELECT block FROM search_messages_data")).scalars()
        assert not any(b"zebrafinch" in block for block in stored)


def test_what_is_deleted_leaves_the_index(account: Account) -> None:
    said(LEA, "zebrafinch")
    with transaction.write() as tx:
        tx.execute(delete(Conversation))
    if is_sqlite():
        for name, word in (("search_messages", "zebrafinch"), ("search_contacts", LEA)):
            rows = text(f"SELECT rowid FROM {name} WHERE {name} MATCH :word")
            left = db.session.execute(rows, {"word": word}).all()
            assert (name == "search_contacts") == bool(left)  # the identity outlives its conversation
    assert found(account, "zebrafinch") == set()


def test_each_account_searches_its_own(account: Account) -> None:
    other = an_account(ATELIER_NORD)
    said(LEA, "linen")
    deliver(a_message_event(RUI, "linen", recipient=ATELIER_NORD), ig_account_id=ATELIER_NORD)
    assert (found(account, "linen"), found(other, "linen"), found(other, LEA)) == ({LEA}, {RUI}, set())


def test_a_search_of_several_accounts_finds_in_each(account: Account) -> None:
    other = an_account(ATELIER_NORD)
    said(LEA, "linen lamp")
    deliver(a_message_event(RUI, "linen sheet", recipient=ATELIER_NORD), ig_account_id=ATELIER_NORD)
    named(other, RUI, "rui.costa")
    assert found_by_programs("linen") == {LEA, RUI}
    assert found_by_programs("costa") == found_by_programs("ui.co") == {RUI}
    assert found_by_programs("linen", limited_to={account.id}) == {LEA}


def found_by_programs(q: str, *, limited_to: set[int] | None = None) -> set[str]:
    viewer = OPERATOR if limited_to is None else Viewer(1, "t", Role.AGENT, frozenset(limited_to))
    entries, _ = api_queries.conversations(viewer, api_queries.FeedQuery(q=q), limit=50)
    return {entry.ig_participant_id for entry in entries}


def test_only_the_newest_hits_of_an_account_count(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_index, "HITS", 2)
    other = an_account(ATELIER_NORD)
    for who in (LEA, RUI, CAMILLE):
        said(who, "linen")
        deliver(a_message_event(who, "linen", recipient=ATELIER_NORD), ig_account_id=ATELIER_NORD)
    assert found(account, "linen") == found(other, "linen") == {RUI, CAMILLE}


def test_postgresql_plans_for_the_words_that_are_looked_for(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = list[str]()

    def noted(*_: object) -> list[object]:
        settings.append(db.session.execute(text("SHOW plan_cache_mode")).scalar_one())
        return []

    if not is_sqlite():
        monkeypatch.setattr(search, "find_rows", noted)
        search.find(search_query.parse("linen", filters=listing.FILTERED), (account.id,), filters=listing.FILTERED)
        assert settings == ["force_custom_plan"]


def test_whatever_is_typed_is_looked_for_and_never_obeyed(account: Account) -> None:
    people = {f"{10**15 + place * 7_000_003}": words for place, words in enumerate(CLASSIC)}
    deliver(*(a_message_event(who, words) for who, words in people.items()))
    said(LEA, "Bonjour")
    for who, words in people.items():
        assert who in found(account, words), words
        assert LEA not in found(account, words), words


@pytest.mark.parametrize(("q", "words"), [("%", "50% off"), ("_", "a_b"), ("\\", "C:\\lamps"), ("50%", "50% off")])
def test_wildcards_match_nothing_but_themselves(account: Account, q: str, words: str) -> None:
    said(LEA, words)
    said(RUI, "50 a b C lamps off")
    assert found(account, q) == {LEA}
