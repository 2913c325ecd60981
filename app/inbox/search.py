"""Which conversations a search means: people by username, name and id, messages by their words; newest hits first.

The indexes are made by migrations: FTS5 tables beside SQLite's (0018), expression indexes on PostgreSQL (0011).
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, cast, column, func, insert, literal, or_, select, table, union
from sqlalchemy.dialects.postgresql import TSQUERY

from app.db import transaction
from app.db.engine import db, is_sqlite
from app.identities import display
from app.models.identity import Identity
from app.models.inbox import Account, Conversation, Message

HITS = 1_000  # of messages, and of people, of each account that are looked at: many a word is in hundreds of thousands
SCANNED = 20_000  # newest rows that are read letter by letter for what no index of words holds
PREFIX_CHARACTERS = 3  # a shorter last word of a message is not completed: it begins a large part of all words
MERGED_PAGES = 300
GRAM_CHARACTERS = 3  # what a trigram index can look for
ID_BITS = 40  # of an index's rowid on SQLite; the account's id stands above them
# Else PostgreSQL plans for no words in particular (db/engine.py), and then reads all that an account was ever told.
_FOR_THESE_WORDS = select(func.set_config("plan_cache_mode", "force_custom_plan", True))  # for this transaction
_HAS_WORD = re.compile(r"[^\W_]")
_LITERAL = re.compile(r"[%_\\]")  # for which a search that knows words alone would take anything


@dataclass(frozen=True, slots=True)
class _Asked:
    """A search taken apart: `words` go to the indexes, `literal` pieces must also stand in the text as typed."""

    words: tuple[str, ...]
    literal: tuple[str, ...]
    account_ids: tuple[int, ...] | None


def matching_conversations(q: str, account_ids: Collection[int] | None) -> ColumnElement[bool]:
    """Return the condition that a search of these accounts (None: of all) means a conversation.

    Every word has to be in one message, the last one may be begun only, or all have to be in a person's names and ids.
    A last word that is common as it stands is not completed in messages: reading all that begin so costs far more.
    A search without a single word is looked for letter by letter in what is newest.
    """
    if not is_sqlite():
        db.session.execute(_FOR_THESE_WORDS)
    of_messages, of_people = _asked(q, account_ids), _asked(display.search_words(q), account_ids)
    found = [_messages(of_messages), _people(of_people)]
    if len(of_people.words) == 1 and len(of_people.words[0]) >= GRAM_CHARACTERS:
        found.append(_handles(of_people))
    return Conversation.id.in_(union(*found))


def merge_indexes() -> None:
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
    if not asked.words:
        columns: Any = select(Message.id, Message.conversation_id, Message.text.label("said"))
        newest = _newest(columns, Message, asked).subquery()
        return select(newest.c.conversation_id).where(*_containing(asked, newest.c.said))
    found = select(Message.conversation_id).where(*_containing(asked, Message.text))
    if is_sqlite():
        words = _fts_words(asked, complete=_is_begun(asked))
        return _hits_of_each_account(asked, "search_messages", words, found, Message)
    words_of = func.search_message(Message.account_id, Message.text)
    found = found.where(Message.text.is_not(None), words_of.op("@@")(_tsquery(asked)))
    hits = found.order_by(Message.id.desc()).limit(HITS).subquery()
    return select(hits.c.conversation_id)


def _is_begun(asked: _Asked) -> bool:
    last = asked.words[-1]
    if len(last) < PREFIX_CHARACTERS:
        return False
    alone = _Asked((last,), (), asked.account_ids)
    whole = _hits_of_each_account(alone, "search_messages", _fts_words(alone, complete=False), select(literal(1)))
    return db.session.execute(select(func.count()).select_from(whole.subquery())).scalar_one() < HITS


def _people(asked: _Asked) -> Select[Any]:
    found: Any = select(Identity.account_id, Identity.ig_participant_id, Identity.username, Identity.name)
    if not asked.words:
        newest = _newest(found, Identity, asked).subquery()
        return _conversations_of(newest, *_containing(asked, newest.c.username, newest.c.name))
    containing = _containing(asked, Identity.username, Identity.name)
    if is_sqlite():
        words = _fts_words(asked, complete=True)
        return _hits_of_each_account(asked, "search_people", words, _theirs().where(*containing), Identity)
    names = (Identity.username, Identity.name, Identity.ig_participant_id)
    words_of = func.search_person(Identity.account_id, *names)
    found = found.where(words_of.op("@@")(_tsquery(asked, parting="._")), *containing).order_by(Identity.id.desc())
    return _conversations_of(found.limit(HITS).subquery())


def _handles(asked: _Asked) -> Select[Any]:
    if is_sqlite():
        return _hits_of_each_account(asked, "search_handles", _quoted(asked.words[0]), _theirs(), Identity)
    found = select(Identity.account_id, Identity.ig_participant_id)
    found = found.where(func.lower(Identity.username).contains(asked.words[0].lower(), autoescape=True))
    found = found.order_by(Identity.id.desc())
    if asked.account_ids is not None:
        found = found.where(Identity.account_id.in_(asked.account_ids))
    return _conversations_of(found.limit(HITS).subquery())


def _conversations_of(people: Any, *conditions: ColumnElement[bool]) -> Select[Any]:
    return select(Conversation.id).join(people, _same_person(people.c)).where(*conditions)


def _theirs() -> Select[Any]:
    return select(Conversation.id).join(Identity, _same_person(Identity))


def _same_person(person: Any) -> ColumnElement[bool]:
    return and_(
        Conversation.account_id == person.account_id, Conversation.ig_participant_id == person.ig_participant_id
    )


def _newest(found: Select[Any], model: type[Message] | type[Identity], asked: _Asked) -> Select[Any]:
    if asked.account_ids is not None:
        found = found.where(model.account_id.in_(asked.account_ids))
    return found.order_by(model.id.desc()).limit(SCANNED)


def _containing(asked: _Asked, *columns: Any) -> Sequence[ColumnElement[bool]]:
    return [or_(*(each.contains(piece, autoescape=True) for each in columns)) for piece in asked.literal]


def _hits_of_each_account(
    asked: _Asked, name: str, words: str, found: Select[Any], model: type[Message] | type[Identity] | None = None
) -> Select[Any]:
    """Return what `found` finds of each account's newest rows in a search table of SQLite that match `words`.

    The rows are handed out as JSON, because SQLite joins with no subquery that refers to what it is joined with.
    """
    index = table(name, column("rowid"), column(name))  # the column named like the table stands for all of them
    if model is not None:
        found = found.join(index, index.c.rowid.op("&")((1 << ID_BITS) - 1) == model.id)
    first = Account.id.op("<<")(ID_BITS)
    of_account = index.c.rowid.between(first, first.op("|")((1 << ID_BITS) - 1))
    newest = found.where(index.c[name].op("MATCH")(words), of_account).order_by(index.c.rowid.desc()).limit(HITS)
    hits = newest.correlate(Account).subquery()
    handed = func.json_each(select(func.json_group_array(hits.c[0])).scalar_subquery()).table_valued("value")
    accounts = select(handed.c.value).select_from(Account).join(handed, literal(True))
    return accounts if asked.account_ids is None else accounts.where(Account.id.in_(asked.account_ids))


def _fts_words(asked: _Asked, *, complete: bool) -> str:
    return " ".join(map(_quoted, asked.words)) + ("*" if complete else "")


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
