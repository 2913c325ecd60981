"""Search conversations: contacts by username, name and ID, messages by words, kind, origin and time."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from itertools import chain
from typing import Any

from sqlalchemy import ColumnElement, SQLColumnExpression, and_, func, or_, select, true

from app.db.engine import db
from app.db.membership import one_of
from app.db.planning import planned_for_values
from app.identities import contact_search
from app.identities.contact_search import Contact, Formerly, Named
from app.inbox import search_query
from app.inbox.search_query import Query
from app.models.account import Account
from app.models.conversation import Conversation, Message
from app.search_index import MESSAGES, IndexWord, Piece, Wanted, find_rows, parse_piece
from app.search_words import FACT

MOST_CONTACTS = 200  # newest matching contacts whose messages are looked at for an operator
MOST_TRIES = 5  # to find something without one part of a search


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found. `condition` selects the conversations, None for all of them.

    `messages` holds the newest matching message of conversations that were found by one, `formerly` the earlier
    username of those found by one. `pieces` are the words and phrases to mark, each with whether it is a whole one.
    `account_id` is the column to compare with the account: with IDs of conversations one without an index. SQLite
    would read all conversations of the account, of which it expects ten.
    """

    query: Query = field(default_factory=Query)
    condition: ColumnElement[bool] | None = None
    messages: Mapping[int, int] = field(default_factory=dict)
    formerly: Mapping[Contact, Formerly] = field(default_factory=dict)
    pieces: tuple[tuple[str, bool], ...] = ()
    account_id: SQLColumnExpression[int] = Conversation.account_id


NOTHING_SEARCHED = Found()


def find(
    query: Query, account_ids: Collection[int] | None, *, filters: Mapping[str, ColumnElement[bool]], zone: tzinfo = UTC
) -> Found:
    """Return what a search finds in these accounts (None for all). `filters` are the conditions of is: by name.

    One message, or the names and ID of the contact, must contain every word and phrase. One message must also match
    all operators about messages. Words may be incomplete: of messages from three characters on, in phrases never.
    """
    if not query.clauses:
        return Found(query)
    with planned_for_values():
        return _Search(query, account_ids, filters, zone).found()


def conversation_ids(contacts: Iterable[Contact]) -> dict[Contact, int]:
    """Return the conversations of those contacts that have one."""
    by_account: dict[int, list[str]] = {}
    for account_id, contact in contacts:
        by_account.setdefault(account_id, []).append(contact)
    ids: dict[Contact, int] = {}
    for account_id, theirs in by_account.items():
        of_account = select(Conversation.id, Conversation.ig_participant_id).where(
            Conversation.account_id == account_id
        )
        for row in db.session.execute(of_account.where(one_of(Conversation.ig_participant_id, theirs))):
            ids[(account_id, row.ig_participant_id)] = row.id
    return ids


def pieces(q: str) -> tuple[tuple[str, bool], ...]:
    """Return the words and phrases of a search to mark, folded, each with whether it is a phrase."""
    return _to_mark(search_query.parse(q, filters=()).pieces())


def without_clause(query: Query, any_found: Callable[[str], bool]) -> tuple[str, str] | None:
    """Return the part of a search that found nothing, without which something is found, and the search without it.

    Operators are left out before words. None if something has to be left out twice.
    """
    if len(query.clauses) < 2:
        return None
    operators_first = sorted(query.clauses, key=lambda clause: not clause.operator)[:MOST_TRIES]
    less = ((str(each), str(query.without(each))) for each in operators_first)
    return next(((dropped, left) for dropped, left in less if any_found(left)), None)


class _Search:
    def __init__(
        self,
        query: Query,
        account_ids: Collection[int] | None,
        filters: Mapping[str, ColumnElement[bool]],
        zone: tzinfo,
    ) -> None:
        self.query = query
        self.account_ids = _in_accounts(query, account_ids)
        self.period = search_query.period(query, zone)
        self.conditions = [filters[value.lower()] for value in query.values("is")]
        self.conditions += [~filters[value.lower()] for value in query.values("is", negated=True)]
        self.ids: set[int] | None = None
        self.formerly: dict[Contact, Formerly] = {}
        self.words = query.pieces()
        self.excluded = query.pieces(negated=True)

    def found(self) -> Found:
        within = self._named_by_from()
        if not (self.words or self._asks_for_messages()):
            return self._result()
        if not self._asks_more_than_since():
            self.conditions.append(Conversation.last_message_at >= self.period.since)
            return self._result()
        messages = self._messages(self.words, within)
        by_name = self._named_by_words(within) if self.words else []
        if by_name and self._asks_for_messages():
            messages = self._messages((), by_name[:MOST_CONTACTS]) | messages
            by_name = []
        self._only([*messages, *by_name])
        return self._result(messages)

    def _result(self, messages: Mapping[int, int] | None = None) -> Found:
        conditions = [*self.conditions]
        account_id: SQLColumnExpression[int] = Conversation.account_id
        if self.ids is not None:
            conditions.append(one_of(Conversation.id, sorted(self.ids)))
            account_id = Conversation.account_id + 0
        if self.account_ids is not None:
            conditions.append(account_id.in_(self.account_ids))
        marked = _to_mark(self.words)
        return Found(self.query, and_(true(), *conditions), messages or {}, self.formerly, marked, account_id)

    def _only(self, ids: Iterable[int]) -> None:
        self.ids = set(ids) if self.ids is None else self.ids.intersection(ids)

    def _named_by_from(self) -> list[int] | None:
        """Return the conversations that from: allows, None for all."""
        within: list[int] | None = None
        for value in self.query.values("from"):
            ids = self._conversations_of(contact_search.by_name(value, self.account_ids))
            within = _in_both(within, ids)
        for value in self.query.values("from", negated=True):
            others = _conversations_of(contact_search.by_name(value, self.account_ids)[0])
            self.conditions.append(Conversation.id.not_in(others))
        if within is not None:
            self._only(within)
        return within

    def _named_by_words(self, within: list[int] | None) -> list[int]:
        return _in_both(within, self._conversations_of(contact_search.by_words(self.words, self.account_ids)))

    def _conversations_of(self, named: Named) -> list[int]:
        contacts, formerly = named
        self.formerly |= formerly
        return _conversations_of(contacts)

    def _asks_for_messages(self) -> bool:
        operators = ("kind", "origin", "has")
        asked = any(self.query.values(each) or self.query.values(each, negated=True) for each in operators)
        return bool(asked or self.excluded or self.period)

    def _asks_more_than_since(self) -> bool:
        asked = any(clause.operator not in ("after", "is", "in", "from") for clause in self.query.clauses)
        return asked or self.period.until is not None

    def _messages(self, words: Sequence[tuple[str, bool]], within: Sequence[int] | None) -> dict[int, int]:
        """Return the newest matching message of each conversation with one."""
        if within is not None and not within:
            return {}
        facts = [*_facts(self.query, negated=False)]
        if within is not None:
            facts.append(tuple(f"c{each}" for each in within))
        not_facts = [IndexWord(FACT + each) for each in chain(*_facts(self.query, negated=True))]
        wanted = Wanted(
            self.account_ids,
            any_of=tuple(tuple(IndexWord(FACT + each) for each in one) for one in facts),
            excluded=tuple(not_facts),
            period=self.period,
        )
        columns = (Message.id, Message.conversation_id, Message.text)
        excluded = [_message_piece(each) for each in self.excluded]
        rows = find_rows(MESSAGES, wanted, [_message_piece(each) for each in words], excluded, columns, _text_of)
        newest: dict[int, int] = {}
        for row in rows:
            newest.setdefault(row.conversation_id, row.id)
        return newest


def _facts(query: Query, *, negated: bool) -> list[tuple[str, ...]]:
    of_kind = [search_query.kinds(each) for each in query.values("kind", negated=negated)]
    found = [tuple(f"k{kind.replace('_', '')}" for kind in kinds) for kinds in of_kind]
    found += [(f"o{each.lower()}",) for each in query.values("origin", negated=negated)]
    return found + [(f"h{each.lower()}",) for each in query.values("has", negated=negated)]


def _in_both(within: list[int] | None, found: list[int]) -> list[int]:
    if within is None:
        return found
    also = frozenset(found)
    return [each for each in within if each in also]


def _to_mark(words: Iterable[tuple[str, bool]]) -> tuple[tuple[str, bool], ...]:
    return tuple((piece.folded, piece.whole) for piece in map(_message_piece, words) if piece.certain)


def _message_piece(piece: tuple[str, bool]) -> Piece:
    return parse_piece(piece, MESSAGES)


def _conversations_of(contacts: Iterable[Contact]) -> list[int]:
    """Return the conversations of contacts, newest contacts first."""
    contacts = list(contacts)
    ids = conversation_ids(contacts)
    return list(dict.fromkeys(ids[each] for each in contacts if each in ids))


def _in_accounts(query: Query, account_ids: Collection[int] | None) -> tuple[int, ...] | None:
    """Return the accounts to search: those that in: names, of those that the viewer may see."""
    allowed = None if account_ids is None else set(account_ids)
    for negated in (False, True):
        for value in query.values("in", negated=negated):
            name = value.removeprefix("@").lower()
            named = select(Account.id).where(or_(func.lower(Account.username) == name, Account.ig_account_id == name))
            same = set(db.session.execute(named).scalars())
            if allowed is None:
                allowed = set(db.session.execute(select(Account.id)).scalars())
            allowed = allowed - same if negated else allowed & same
    return None if allowed is None else tuple(sorted(allowed))


def _text_of(row: Any) -> str:
    return row.text or ""
