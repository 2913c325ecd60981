"""Search among a million messages of a hundred accounts, through the page."""

import itertools
import random
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from sqlalchemy import bindparam, select, text, update

from app import search_words
from app.models.identity import Identity
from bench import load, measures
from bench.load import Request
from bench.measures import Figure
from tests.support.installation import Installation

MESSAGES, ACCOUNTS, PEOPLE = 1_000_000, 100, 100
WORDS, WORDS_A_MESSAGE = 30_000, 8
AT_ONCE = 20_000
SEARCHES = 300
_MESSAGE = text(
    "INSERT INTO messages"
    " (account_id, conversation_id, mid_digest, mid, ig_sender_id, outgoing, kind, text, sent_at, terms)"
    " VALUES (:account_id, :conversation_id, :digest, '', '', false, 'text', :text, '2026-10-01 00:00:00', :terms)"
)
_ACCOUNT = text(
    "INSERT INTO accounts (ig_account_id, login, own_ids, state, connected_at)"
    " VALUES (:id, 'instagram', '[]', 'reconnect', '2026-10-01 00:00:00')"
)


def speed(nametag: Installation, baseline: str, *, on: str) -> Iterator[Figure]:
    """Search rare and common words, beginnings, two words, usernames, IDs, operators, and what finds nothing."""
    draw = random.Random(1)
    words = ["".join(draw.choices("abcdefghijklmnoprstuvz", k=draw.randint(2, 9))) for _ in range(WORDS)]
    ig_account_id = _fill(nametag, words, draw)
    cookie = (("Cookie", measures.sign_in(nametag.web.url)), ("HX-Request", "true"))
    address = f"/inbox/list?account={ig_account_id}&q="
    answers, hello = [], []
    for q in itertools.islice(_typed(words, draw), SEARCHES):
        answers += load.in_turn(nametag.web.url, Request("GET", address + quote(q), headers=cookie), times=1)
        hello += load.in_turn(baseline, Request("GET", "/hello"), times=1)
    assert {answer.status for answer in answers} == {200}
    yield from measures.in_hello_pages(f"{on}: search in 1,000,000 messages", answers, hello, limit_ms=25)
    yield Figure(f"{on}: search in 1,000,000 messages, longest", load.times_of(answers).longest, 1000, "ms")


def _typed(words: list[str], draw: random.Random) -> Iterator[str]:
    chances = _zipf(len(words))
    while True:
        one, other = draw.choices(words, cum_weights=chances, k=2)
        yield from (one, one[: max(3, len(one) // 2)], f"{one} {other}", draw.choice(words))
        yield from (f"erson.{draw.randrange(PEOPLE)}", f"{draw.randrange(PEOPLE):06d}", "zzzzzz nothing")
        yield from (f"person.{draw.randrange(PEOPLE)}", f"from:@person.{draw.randrange(PEOPLE)}", f"-{other}")
        yield from draw.sample(
            ("kind:photo", "origin:ad", "has:link", "is:unread", "on:2026-10", f"{one} kind:photo"), 2
        )


def _fill(nametag: Installation, words: list[str], draw: random.Random) -> str:
    chances = _zipf(len(words))
    with nametag.database.begin() as connection:
        ids = [f"17841499{number:09d}" for number in range(ACCOUNTS)]
        connection.execute(_ACCOUNT, [{"id": each} for each in ids])
        first = connection.execute(text("SELECT max(id) FROM accounts")).scalar_one() - ACCOUNTS + 1
        people = [
            {"account_id": first + place % ACCOUNTS, "who": f"18{place // ACCOUNTS:014d}", "at": "2026-10-01 00:00:00"}
            | {"username": f"person.{place // ACCOUNTS}"}
            for place in range(ACCOUNTS * PEOPLE)
        ]
        for statement in (measures.CONVERSATION, measures.IDENTITY):
            connection.execute(text(statement), people)
        named = update(Identity).where(Identity.id == bindparam("row_id"))
        unnamed = select(Identity.id, Identity.username).where(Identity.terms.is_(None))
        usernames = connection.execute(unnamed).all()
        terms = [{"row_id": row.id, "found": search_words.stored_name(row.username, None)} for row in usernames]
        connection.execute(named.values(terms=bindparam("found")), terms)
        last = connection.execute(text("SELECT max(id) FROM conversations")).scalar_one() - len(people)
    for start in range(0, MESSAGES, AT_ONCE):
        said = draw.choices(words, cum_weights=chances, k=AT_ONCE * WORDS_A_MESSAGE)
        rows: list[dict[str, Any]] = [
            {
                "account_id": first + place % ACCOUNTS,
                "conversation_id": last + 1 + place % len(people),
                "digest": place.to_bytes(16, "big"),
                "text": " ".join(said[(place - start) * WORDS_A_MESSAGE : (place - start + 1) * WORDS_A_MESSAGE]),
            }
            for place in range(start, start + AT_ONCE)
        ]
        for place, row in enumerate(rows, start):
            facts = ["kimage", "oad"] if place % 500 == 0 else ["ktext"]
            row["terms"] = search_words.stored(row["text"], facts)
        with nametag.database.begin() as connection:
            connection.execute(_MESSAGE, rows)
    if not re.match("sqlite", str(nametag.database.url)):
        with nametag.database.begin() as connection:
            connection.execute(text("ANALYZE"))
    return ids[5]


def _zipf(number: int) -> list[float]:
    return list(itertools.accumulate(1 / rank for rank in range(1, number + 1)))
