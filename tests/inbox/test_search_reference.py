"""Search against a slow filter that reads every row, on both databases: each clause alone, and all pairs."""

import itertools
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import regex
from flask import Flask
from sqlalchemy import select, update

from app.db import transaction
from app.db.engine import db
from app.inbox import listing, search, search_query
from app.models.account import Account
from app.models.conversation import Conversation, Message
from app.models.identity import Identity, UsernameHistory
from tests.factories import ATELIER_NORD, a_message_event, an_account, deliver, named

ZONE = ZoneInfo("Asia/Tokyo")
TEXTS = (
    *(
        "Is the linen lamp still there?",
        "LINEN lamps, please: https://example.com/linen",
        "ﬁne \uff2c\uff49\uff4e\uff45\uff4e",
        "café crème",
    ),
    *(
        "cafe creme 50% off",
        "50 off_",
        "日本語を話します",
        "語学",
        "한국어 메시지",
        "บ้านหลังใหญ่",
        "が",
        "か",
        "straße",
        "STRASSE",
    ),
    *(
        "مَرْحَبًا بك",
        "مرحبا",
        "naïve international",
        "internet don’t",
        "don't lamp linen",
        "www.example.com",
        "❤️ 100%",
        "a",
        "-",
    ),
)
KINDS = ("image", "video", "audio", "ig_reel", "share", "story_mention")
CLAUSES = (
    *(
        "linen",
        "lin",
        "line",
        "li",
        "LINEN",
        "\uff2c\uff49\uff4e",
        "cafe",
        "café",
        '"linen lamp"',
        '"lin"',
        "-linen",
        '-"linen lamp"',
    ),
    *("日本", "語", "本語を", "국어", "บ้าน", "が", "strasse", "مرحبا", "intern", "internat", "don't", "50%", "%", "-%"),
    *("user1", "@user1", "ser1", "Person", "user1.maison", "léa", "178", "old1.maison"),
    *(
        "is:unread",
        "is:unknown",
        "-is:unread",
        "from:@user1.maison",
        "from:@old1.maison",
        "from:person",
        "-from:@user1.maison",
    ),
    *("in:@atelier.nord", "-in:@atelier.nord", "in:@nobody"),
    *("kind:photo", "kind:voice", "kind:story", "kind:reel", "-kind:photo", "has:link", "-has:link"),
    *(
        "origin:ad",
        "origin:story",
        "origin:link",
        "before:2026-11-03",
        "after:2026-11-03",
        "on:2026-11-03",
        "on:2026-10",
    ),
)
# Each operator and each form of word at least once: all pairs of these are compared, too.
PAIRED = (
    *(
        "lin",
        "line",
        "cafe",
        '"linen lamp"',
        "-linen",
        "語",
        "don't",
        "50%",
        "-%",
        "user1",
        "person",
        "ser1",
        "old1.maison",
    ),
    *("is:unread", "-is:unknown", "from:@user1.maison", "from:person", "-from:@user1.maison", "in:@atelier.nord"),
    *("kind:photo", "-kind:photo", "has:link", "origin:ad", "before:2026-11-03", "after:2026-11-03", "on:2026-10"),
)
WORD = r"[\p{L}\p{N}\p{M}]"
UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}ー々]"


@pytest.fixture
def accounts(app: Flask) -> list[Account]:
    made = [an_account(), an_account(ATELIER_NORD)]
    with transaction.write() as tx:
        for account, own in zip(made, ("maison.lune", "atelier.nord"), strict=True):
            tx.session.merge(account).username = own
    numbers = itertools.count()
    for ig_account_id in (account.ig_account_id for account in made):
        events = [event for words in TEXTS for event in _events(ig_account_id, words, next(numbers))]
        deliver(*events, ig_account_id=ig_account_id)
    names = (("user1.maison", "Léa Person"), ("user2_nord", "Straße 日本語"), ("user11", None), (None, "Person مرحبا"))
    for account in made:
        for number, (username, name) in enumerate(names):
            named(account, f"17841{number:012d}", username, name)
        named(account, f"17841{5:012d}", "old1.maison", None)
        named(account, f"17841{5:012d}", "new5", None)
    with transaction.write() as tx:
        few = Conversation.id % 2 == 0
        tx.execute(update(Conversation).where(few).values(unread_count=0))
    return made


def _event(ig_account_id: str, who: str, number: int, **message: Any) -> dict[str, Any]:
    at = datetime(2026, 10, 20, 1, tzinfo=UTC) + timedelta(hours=11 * number)
    event = a_message_event(who, None, recipient=ig_account_id, mid=f"m-{ig_account_id}-{len(message)}-{number}")
    event["timestamp"] = int(at.timestamp() * 1000)
    event["message"] = {"mid": event["message"]["mid"], **message}
    return event


def _events(ig_account_id: str, words: str, number: int) -> Iterator[dict[str, Any]]:
    yield _event(ig_account_id, f"17841{number % 9:012d}", number, text=words)
    if number % 3 == 0:
        attachment = {"type": KINDS[number // 3 % len(KINDS)], "payload": {"url": "https://lookaside.fbsbx.com/a"}}
        yield _event(ig_account_id, f"17841{number % 7:012d}", number, attachments=[attachment], is_echo=False)
    if number % 5 == 0:
        context: dict[str, Any] = (
            {"reply_to": {"story": {"url": "https://lookaside.fbsbx.com/s", "id": "1"}}},
            {
                "referral": {
                    "ref": "r",
                    "source": "ADS",
                    "type": "OPEN_THREAD",
                    "ads_context_data": {"ad_title": "Lamp"},
                }
            },
            {"referral": {"ref": "r", "source": "SHORTLINK", "type": "OPEN_THREAD"}},
        )[number // 5 % 3]
        who = f"17841{number % 8:012d}"
        yield _event(ig_account_id, who, number, text="linen question", is_deleted=False, **context)


class Reference:
    """Every row of the database, filtered one by one."""

    def __init__(self) -> None:
        same = (Identity.account_id == Conversation.account_id) & (
            Identity.ig_participant_id == Conversation.ig_participant_id
        )
        found = select(Conversation, Identity, Account).select_from(Conversation)
        found = found.join(Account, Account.id == Conversation.account_id).outerjoin(Identity, same)
        self.rows = db.session.execute(found).all()
        self.messages: dict[int, list[Message]] = {}
        for message in db.session.scalars(select(Message)):
            self.messages.setdefault(message.conversation_id, []).append(message)
        self.former: dict[int, set[str]] = {}
        for each in db.session.scalars(select(UsernameHistory)):
            self.former.setdefault(each.identity_id, set()).add(each.old_username)

    def found(self, q: str, account_ids: set[int]) -> set[int]:
        query = search_query.parse(q, filters=listing.FILTERED)
        return {row[0].id for row in self.rows if row[0].account_id in account_ids and self._fits(query, *row)}

    def _fits(
        self, query: search_query.Query, conversation: Conversation, identity: Identity, account: Account
    ) -> bool:
        words = [each for each in query.clauses if not each.operator and not each.negated]
        about_messages: list[Any] = []
        others: list[Any] = []
        for each in query.clauses:
            if each not in words:
                (others if each.operator in ("is", "in", "from") else about_messages).append(each)
        if not all(self._is(each, conversation, identity, account) is not each.negated for each in others):
            return False
        messages = self.messages[conversation.id]
        if not words and not about_messages:
            return True
        named = bool(words) and self._named(words, identity)
        for message in messages:
            if all(self._of(each, message) is not each.negated for each in about_messages) and (
                named or all(occurs(each.value, each.phrase, message.text or "", 3) for each in words)
            ):
                return True
        return named and not about_messages

    def _is(self, clause: Any, conversation: Conversation, identity: Identity, account: Account) -> bool:
        if clause.operator == "is":
            return conversation.unread_count > 0 if clause.value == "unread" else not conversation.known
        if clause.operator == "in":
            return str(clause.value).removeprefix("@") == account.username
        name = clause.value.removeprefix("@")
        if name in self.former.get(identity.id, ()):
            return True
        if clause.value != name:
            return bool(identity.username == name)
        return self._named([search_query.Clause(name)], identity)

    def _named(self, words: list[Any], identity: Identity) -> bool:
        first = words[0].value.removeprefix("@")
        if len(words) == 1 and first in self.former.get(identity.id, ()):
            return True
        pieces = [(first, words[0].phrase), *((each.value, each.phrase) for each in words[1:])]
        if any(self._begins(pieces, row[1]) for row in self.rows):
            return self._begins(pieces, identity)
        return len(words) == 1 and len(first) >= 3 and first.lower() in (identity.username or "").lower()

    def _begins(self, pieces: list[tuple[str, bool]], identity: Identity) -> bool:
        who = identity.ig_participant_id
        shown = f"{identity.username or ''} {identity.name or ''} {who} {who[-6:]}"
        return all(occurs(piece, phrase, shown, 1) for piece, phrase in pieces)

    def _of(self, clause: Any, message: Message) -> bool:
        value, context = clause.value, message.context or {}
        kinds = {message.kind, *(each["kind"] for each in message.attachments or ())}
        if not clause.operator:
            return occurs(value, clause.phrase, message.text or "", 3)
        if clause.operator == "kind":
            wanted = {"photo": {"image"}, "voice": {"audio"}, "story": {"story", "story_mention", "story_reply"}}
            return bool(kinds & wanted.get(value, {value}))
        if clause.operator == "has":
            return "link" in kinds or bool(regex.search(r"https?://|www\.", message.text or ""))
        if clause.operator == "origin":
            referral = context.get("referral")
            came = {"story": bool((context.get("reply_to") or {}).get("story"))}
            came["ad"] = bool(referral and "ads_context_data" in referral)
            came["link"] = bool(referral) and not came["ad"]
            return came[value]
        day = f"{message.sent_at.astimezone(ZONE):%Y-%m-%d}"
        return bool({"on": day.startswith(value), "before": day < value, "after": day > value}[clause.operator])


@cache
def plain(text: str) -> str:
    folded = unicodedata.normalize("NFKD", text).casefold().replace("’", "'")
    kept = (c for c in folded if not regex.fullmatch(r"[\p{Cf}\p{Block=Combining_Diacritical_Marks}ً-ْ\ufe0f]", c))
    return unicodedata.normalize("NFC", "".join(kept))


@cache
def occurs(piece: str, whole: bool, text: str, shortest: int) -> bool:
    wanted, words = plain(piece), regex.findall(rf"{UNSPACED}+|(?:(?!{UNSPACED}){WORD})+", plain(piece))
    if not words:
        return piece in text
    begin = "" if not regex.match(WORD, wanted) or regex.match(UNSPACED, wanted) else rf"(?<!(?!{UNSPACED}){WORD})"
    ends = wanted.endswith(words[-1]) and not regex.match(UNSPACED, words[-1]) and (whole or len(words[-1]) < shortest)
    end = rf"(?!(?!{UNSPACED}){WORD})" if ends else ""
    return bool(regex.search(begin + regex.escape(wanted) + end, plain(text)))


def found(q: str, account_ids: set[int]) -> set[int]:
    searched = search.find(
        search_query.parse(q, filters=listing.FILTERED), account_ids, filters=listing.FILTERED, zone=ZONE
    )
    assert searched.condition is not None, q
    visible = select(Conversation.id).where(Conversation.account_id.in_(account_ids), searched.condition)
    return set(db.session.scalars(visible))


@pytest.mark.timeout(300)
def test_each_clause_and_all_pairs_find_what_a_filter_of_all_rows_finds(accounts: list[Account]) -> None:
    reference, every = Reference(), {account.id for account in accounts}
    wrong = [q for q in _questions() if found(q, every) != reference.found(q, every)]
    db.session.rollback()
    assert wrong == []


def test_a_search_of_one_account_never_finds_another_one(accounts: list[Account]) -> None:
    reference, own = Reference(), {accounts[0].id}
    for clause in CLAUSES:
        assert found(clause, own) == reference.found(clause, own), clause
    assert found("in:@atelier.nord", own) == set()


def test_clauses_find_something_so_that_the_comparison_means_something(accounts: list[Account]) -> None:
    reference, every = Reference(), {account.id for account in accounts}
    barren = {clause for clause in CLAUSES if not reference.found(clause, every)}
    assert barren == {"in:@nobody", '"lin"', "-%", "li"}


def _questions() -> Iterator[str]:
    yield from CLAUSES
    for one, other in itertools.combinations(PAIRED, 2):
        yield f"{one} {other}"
