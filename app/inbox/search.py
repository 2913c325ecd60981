"""Search conversations: contacts by username, name and ID, messages by their words.

Migration 0001 creates the indexes: FTS5 tables on SQLite, expression indexes on PostgreSQL.
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
from app.models.account import Account
from app.models.conversation import Conversation, Message
from app.models.identity import Identity

HITS = 1_000  # newest matching messages and contacts per account; a common word has hundreds of thousands
SCANNED = 20_000  # newest rows that are compared character by character, for terms without a word
PREFIX_CHARACTERS = 3  # a shorter last word is not completed in messages: too many words start with it
MERGED_PAGES = 300
GRAM_CHARACTERS = 3  # the shortest term of a trigram index
ID_BITS = 40  # of a rowid of SQLite's indexes; the account's ID is in the bits above
# Else PostgreSQL plans without the words (db/engine.py), and reads all messages of an account.
_PLAN_WITH_WORDS = select(func.set_config("plan_cache_mode", "force_custom_plan", True))  # for this transaction
_HAS_WORD = re.compile(r"[^\W_]")
_LITERAL = re.compile(r"[%_\\]")  # which an index of words ignores


@dataclass(frozen=True, slots=True)
class _Term:
    """A parsed search term: `words` go to the indexes; the text must also contain the `literal` pieces."""

    words: tuple[str, ...]
    literal: tuple[str, ...]
    account_ids: tuple[int, ...] | None


def matching_conversations(q: str, account_ids: Collection[int] | None) -> ColumnElement[bool]:
    """Return the condition that a conversation matches a search term, in these accounts (None for all).

    One message, or the names and ID of the contact, must contain every word; the last word may be incomplete. In
    messages a common last word is not completed, which would be slow. A term without any word is compared character
    by character with the newest rows.
    """
    if not is_sqlite():
        db.session.execute(_PLAN_WITH_WORDS)
    of_messages, of_contacts = _parse(q, account_ids), _parse(display.search_words(q), account_ids)
    found = [_messages(of_messages), _contacts(of_contacts)]
    if len(of_contacts.words) == 1 and len(of_contacts.words[0]) >= GRAM_CHARACTERS:
        found.append(_handles(of_contacts))
    return Conversation.id.in_(union(*found))


def matching_contacts(q: str, account_id: int) -> list[str]:
    """Return the IDs of at most HITS contacts of an account whose names or ID match a search term, newest first."""
    if not is_sqlite():
        db.session.execute(_PLAN_WITH_WORDS)
    term = _parse(display.search_words(q), (account_id,))
    found: list[Select[Any]] = [_contacts(term)]
    if len(term.words) == 1 and len(term.words[0]) >= GRAM_CHARACTERS:
        found.append(_handles(term))
    matching = select(Conversation.ig_participant_id).where(Conversation.id.in_(union(*found)))
    matching = matching.where(Conversation.account_id == account_id).order_by(Conversation.last_message_at.desc())
    return list(db.session.scalars(matching.limit(HITS)))


def merge_indexes() -> None:
    """Merge SQLite's indexes in short transactions, so that unsent and deleted text is removed from the file too.

    Until then FTS5 only marks it as deleted. PostgreSQL's autovacuum needs no help.
    """
    if not is_sqlite():
        return
    for name in ("search_messages", "search_contacts", "search_usernames"):
        pages = -MERGED_PAGES  # negative in the first step: all segments (https://www.sqlite.org/fts5.html)
        while _merged(name, pages):
            pages = MERGED_PAGES


def _merged(name: str, pages: int) -> bool:
    changes = select(func.total_changes())
    with transaction.write() as tx:
        before = tx.execute(changes).scalar_one()
        tx.execute(insert(table(name, column(name), column("rank"))).values({name: "merge", "rank": pages}))
        return bool(tx.execute(changes).scalar_one() - before > 1)


def _parse(q: str, account_ids: Collection[int] | None) -> _Term:
    pieces = q.split()
    words = tuple(piece for piece in pieces if _HAS_WORD.search(piece))
    literal = tuple(piece for piece in pieces if not words or _LITERAL.search(piece))
    return _Term(words, literal, None if account_ids is None else tuple(sorted(account_ids)))


def _messages(term: _Term) -> Select[Any]:
    if not term.words:
        columns: Any = select(Message.id, Message.conversation_id, Message.text.label("text"))
        newest = _newest(columns, Message, term).subquery()
        return select(newest.c.conversation_id).where(*_containing(term, newest.c.text))
    found = select(Message.conversation_id).where(*_containing(term, Message.text))
    if is_sqlite():
        words = _fts_words(term, complete=_completes_last_word(term))
        return _hits_per_account(term, "search_messages", words, found, Message)
    words_of = func.search_message(Message.account_id, Message.text)
    found = found.where(Message.text.is_not(None), words_of.op("@@")(_tsquery(term)))
    hits = found.order_by(Message.id.desc()).limit(HITS).subquery()
    return select(hits.c.conversation_id)


def _completes_last_word(term: _Term) -> bool:
    last = term.words[-1]
    if len(last) < PREFIX_CHARACTERS:
        return False
    alone = _Term((last,), (), term.account_ids)
    whole = _hits_per_account(alone, "search_messages", _fts_words(alone, complete=False), select(literal(1)))
    return db.session.execute(select(func.count()).select_from(whole.subquery())).scalar_one() < HITS


def _contacts(term: _Term) -> Select[Any]:
    found: Any = select(Identity.account_id, Identity.ig_participant_id, Identity.username, Identity.name)
    if not term.words:
        newest = _newest(found, Identity, term).subquery()
        return _conversations_of(newest, *_containing(term, newest.c.username, newest.c.name))
    containing = _containing(term, Identity.username, Identity.name)
    if is_sqlite():
        words = _fts_words(term, complete=True)
        return _hits_per_account(
            term, "search_contacts", words, _conversations_of_contacts().where(*containing), Identity
        )
    names = (Identity.username, Identity.name, Identity.ig_participant_id)
    words_of = func.search_contact(Identity.account_id, *names)
    found = found.where(words_of.op("@@")(_tsquery(term, parting="._")), *containing).order_by(Identity.id.desc())
    return _conversations_of(found.limit(HITS).subquery())


def _handles(term: _Term) -> Select[Any]:
    if is_sqlite():
        return _hits_per_account(
            term, "search_usernames", _quoted(term.words[0]), _conversations_of_contacts(), Identity
        )
    found = select(Identity.account_id, Identity.ig_participant_id)
    found = found.where(func.lower(Identity.username).contains(term.words[0].lower(), autoescape=True))
    found = found.order_by(Identity.id.desc())
    if term.account_ids is not None:
        found = found.where(Identity.account_id.in_(term.account_ids))
    return _conversations_of(found.limit(HITS).subquery())


def _conversations_of(contacts: Any, *conditions: ColumnElement[bool]) -> Select[Any]:
    return select(Conversation.id).join(contacts, _same_contact(contacts.c)).where(*conditions)


def _conversations_of_contacts() -> Select[Any]:
    return select(Conversation.id).join(Identity, _same_contact(Identity))


def _same_contact(contact: Any) -> ColumnElement[bool]:
    return and_(
        Conversation.account_id == contact.account_id, Conversation.ig_participant_id == contact.ig_participant_id
    )


def _newest(found: Select[Any], model: type[Message] | type[Identity], term: _Term) -> Select[Any]:
    if term.account_ids is not None:
        found = found.where(model.account_id.in_(term.account_ids))
    return found.order_by(model.id.desc()).limit(SCANNED)


def _containing(term: _Term, *columns: Any) -> Sequence[ColumnElement[bool]]:
    return [or_(*(each.contains(piece, autoescape=True) for each in columns)) for piece in term.literal]


def _hits_per_account(
    term: _Term, name: str, words: str, found: Select[Any], model: type[Message] | type[Identity] | None = None
) -> Select[Any]:
    """Return the rows of `found` for each account's newest matches of `words` in a search table of SQLite.

    The rows pass through JSON, because SQLite cannot join a subquery that refers to the other side of the join.
    """
    index = table(name, column("rowid"), column(name))  # the column named like the table means all columns
    if model is not None:
        found = found.join(index, index.c.rowid.op("&")((1 << ID_BITS) - 1) == model.id)
    first = Account.id.op("<<")(ID_BITS)
    of_account = index.c.rowid.between(first, first.op("|")((1 << ID_BITS) - 1))
    newest = found.where(index.c[name].op("MATCH")(words), of_account).order_by(index.c.rowid.desc()).limit(HITS)
    hits = newest.correlate(Account).subquery()
    passed = func.json_each(select(func.json_group_array(hits.c[0])).scalar_subquery()).table_valued("value")
    accounts = select(passed.c.value).select_from(Account).join(passed, literal(True))
    return accounts if term.account_ids is None else accounts.where(Account.id.in_(term.account_ids))


def _fts_words(term: _Term, *, complete: bool) -> str:
    return " ".join(map(_quoted, term.words)) + ("*" if complete else "")


def _quoted(word: str) -> str:
    return '"{}"'.format(word.replace('"', '""'))


def _tsquery(term: _Term, parting: str = "") -> ColumnElement[Any]:
    whole = [word.translate(dict.fromkeys(map(ord, parting), " ")) for word in term.words]
    quoted = ["'{}'".format(word.replace("\\", "\\\\").replace("'", "''")) for word in whole]
    words: ColumnElement[Any] = func.to_tsquery("simple", " & ".join(quoted) + ":*")
    if term.account_ids is None:
        return words
    accounts = " | ".join(f"' {each}'" for each in term.account_ids) or "' none'"
    return cast(accounts, TSQUERY).op("&&")(words)
