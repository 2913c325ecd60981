"""Which conversations a search means: people by username, name and id, messages by their words; newest hits first.

The indexes are made by migration 0011: FTS5 tables beside SQLite's, expression indexes on PostgreSQL.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, cast, column, func, insert, or_, select, table, union
from sqlalchemy.dialects.postgresql import TSQUERY

from app.db import transaction
from app.db.engine import is_sqlite
from app.models.identity import Identity
from app.models.inbox import Conversation, Message

HITS = 1_000  # of messages, and of people, that are looked at: a common word is in hundreds of thousands
SCANNED = 20_000  # newest rows that are read letter by letter for what no index of words holds
PREFIX_CHARACTERS = 3  # a shorter last word of a message is not completed: it begins a large part of all words
MERGED_PAGES = 300
GRAM_CHARACTERS = 3  # what a trigram index can look for
_HAS_WORD = re.compile(r"[^\W_]")
_LITERAL = re.compile(r"[%_\\]")  # for which a search that knows words alone would take anything


@dataclass(frozen=True, slots=True)
class _Asked:
    """A search taken apart: `words` go to the indexes, `literal` pieces must also stand in the text as typed."""

    words: tuple[str, ...]
    literal: tuple[str, ...]
    account_ids: tuple[int, ...] | None


def matches(q: str, account_ids: Collection[int] | None) -> ColumnElement[bool]:
    """Return the condition that a search of these accounts (None: of all) means a conversation.

    Every word has to be in one message, the last one may be begun only, or all have to be in a person's names and ids.
    A search without a single word is looked for letter by letter in what is newest.
    """
    of_messages, of_people = _asked(q, account_ids), _asked(q.removeprefix("@").removeprefix("user_"), account_ids)
    found = [_messages(of_messages), _people(of_people)]
    if len(of_people.words) == 1 and len(of_people.words[0]) >= GRAM_CHARACTERS:
        found.append(_handles(of_people))
    return Conversation.id.in_(union(*found))


def tidy() -> None:
    """Merge SQLite's indexes, a step a transaction: what was taken back or deleted is then gone from the file too.

    Until then FTS5 only notes that it no longer counts. PostgreSQL's autovacuum does the same by itself.
    """
    if not is_sqlite():
        return
    for name in ("search_messages", "search_people", "search_handles"):
        pages = -MERGED_PAGES  # the first step says: all segments, however unequal (SQLite's FTS5, 6.9)
        while _merged(name, pages):
            pages = MERGED_PAGES


def _merged(name: str, pages: int) -> bool:
    changes = select(func.total_changes())
    with transaction.write() as tx:
        before = tx.execute(changes).scalar_one()
        tx.execute(insert(table(name, column(name), column("rank"))).values({name: "merge", "rank": pages}))
        return bool(tx.execute(changes).scalar_one() - before > 1)


def _asked(q: str, account_ids: Collection[int] | None) -> _Asked:
    pieces = q.split()
    words = tuple(piece for piece in pieces if _HAS_WORD.search(piece))
    literal = tuple(piece for piece in pieces if not words or _LITERAL.search(piece))
    return _Asked(words, literal, None if account_ids is None else tuple(sorted(account_ids)))


def _messages(asked: _Asked) -> Select[Any]:
    found: Any = select(Message.id, Message.conversation_id, Message.text.label("said"))
    if not asked.words:
        newest = _newest(found, Message, asked).subquery()
        return select(newest.c.conversation_id).where(*_containing(asked, newest.c.said))
    if is_sqlite():
        index = _fts("search_messages")
        found = found.join(index, index.c.rowid == Message.id).order_by(index.c.rowid.desc())
        found = found.where(_fts_match(index, asked, complete=len(asked.words[-1]) >= PREFIX_CHARACTERS))
    else:
        words = func.search_message(Message.account_id, Message.text)
        found = found.where(Message.text.is_not(None), words.op("@@")(_tsquery(asked)))
        found = found.order_by(Message.id.desc())
    hits = found.where(*_containing(asked, Message.text)).limit(HITS).subquery()
    return select(hits.c.conversation_id)


def _people(asked: _Asked) -> Select[Any]:
    found: Any = select(Identity.account_id, Identity.ig_participant_id, Identity.username, Identity.name)
    if not asked.words:
        newest = _newest(found, Identity, asked).subquery()
        return _conversations_of(newest, *_containing(asked, newest.c.username, newest.c.name))
    if is_sqlite():
        index = _fts("search_people")
        found = found.join(index, index.c.rowid == Identity.id).order_by(index.c.rowid.desc())
        found = found.where(_fts_match(index, asked, complete=True))
    else:
        names = (Identity.username, Identity.name, Identity.ig_participant_id)
        words = func.search_person(Identity.account_id, *names)
        found = found.where(words.op("@@")(_tsquery(asked, parting="._"))).order_by(Identity.id.desc())
    found = found.where(*_containing(asked, Identity.username, Identity.name))
    return _conversations_of(found.limit(HITS).subquery())


def _handles(asked: _Asked) -> Select[Any]:
    found = select(Identity.account_id, Identity.ig_participant_id)
    if is_sqlite():
        index = _fts("search_handles")
        found = found.join(index, index.c.rowid == Identity.id).order_by(index.c.rowid.desc())
        found = found.where(index.c.search_handles.op("MATCH")(_quoted(asked.words[0])))
    else:
        found = found.where(func.lower(Identity.username).contains(asked.words[0].lower(), autoescape=True))
        found = found.order_by(Identity.id.desc())
    if asked.account_ids is not None:
        found = found.where(Identity.account_id.in_(asked.account_ids))
    return _conversations_of(found.limit(HITS).subquery())


def _conversations_of(people: Any, *conditions: ColumnElement[bool]) -> Select[Any]:
    same = and_(
        Conversation.account_id == people.c.account_id, Conversation.ig_participant_id == people.c.ig_participant_id
    )
    return select(Conversation.id).join(people, same).where(*conditions)


def _newest(found: Select[Any], model: type[Message] | type[Identity], asked: _Asked) -> Select[Any]:
    if asked.account_ids is not None:
        found = found.where(model.account_id.in_(asked.account_ids))
    return found.order_by(model.id.desc()).limit(SCANNED)


def _containing(asked: _Asked, *columns: Any) -> Sequence[ColumnElement[bool]]:
    return [or_(*(each.contains(piece, autoescape=True) for each in columns)) for piece in asked.literal]


def _fts(name: str) -> Any:
    return table(name, column("rowid"), column(name))  # the hidden column of its own name stands for all of its columns


def _fts_match(index: Any, asked: _Asked, *, complete: bool) -> ColumnElement[bool]:
    words = f"words : ({' '.join(map(_quoted, asked.words))}{'*' if complete else ''})"
    if asked.account_ids is not None:
        words = f"account : ({' OR '.join(f'a{each}' for each in asked.account_ids) or 'none'}) AND {words}"
    condition: ColumnElement[bool] = index.c[index.name].op("MATCH")(words)
    return condition


def _quoted(word: str) -> str:
    return '"{}"'.format(word.replace('"', '""'))


def _tsquery(asked: _Asked, parting: str = "") -> ColumnElement[Any]:
    whole = [word.translate(dict.fromkeys(map(ord, parting), " ")) for word in asked.words]
    quoted = ["'{}'".format(word.replace("\\", "\\\\").replace("'", "''")) for word in whole]
    words: ColumnElement[Any] = func.to_tsquery("simple", " & ".join(quoted) + ":*")
    if asked.account_ids is None:
        return words
    accounts = " | ".join(f"' {each}'" for each in asked.account_ids) or "' none'"
    return cast(accounts, TSQUERY).op("&&")(words)
