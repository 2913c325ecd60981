"""The indexes of search: FTS5 on SQLite, GIN on PostgreSQL (migration 0006). Both find the same.

Both hold the words that app/search_words.py makes. Candidates come from the index; what it can't decide, such as the
order of words, is checked in Python. A search reads the newest HITS, and no database sorts all matching rows.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import chain
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, bindparam, cast, column, func, insert, select, table
from sqlalchemy.dialects.postgresql import TSQUERY

from app import clock, search_words
from app.db import transaction
from app.db.engine import db, is_sqlite
from app.models.account import Account
from app.models.conversation import Message
from app.models.identity import Identity
from app.search_words import FACT

HITS = 500  # newest matching messages and contacts; a common word has hundreds of thousands
SCANNED = 5_000  # newest rows that are compared character by character, for terms without a word
SHORTEST = 3  # a shorter word of a message is not completed: too many words begin with it
MERGED_PAGES = 300
ID_BITS = 40  # of a rowid of SQLite's indexes; the account's ID is in the bits above
BLOCK_BITS = {"A": 12, "B": 16, "C": 20}  # blocks of row IDs, which PostgreSQL indexes as words
NEWEST_BLOCKS = 3  # read first; the newest one may be nearly empty
DAYS_AT_FIRST = (3, 40, 400)  # before the end of a period, whose newest messages PostgreSQL reads first
SQLITE_FACT = FACT * 5  # its first characters are in the index of beginnings only once per row
FIRST_YEAR = 2010  # Instagram's; nothing was sent earlier


@dataclass(frozen=True, slots=True)
class Period:
    """The times from `since` until before `until`, both aware UTC; None for no limit."""

    since: datetime | None = None
    until: datetime | None = None

    def __and__(self, other: "Period") -> "Period":
        since = max(filter(None, (self.since, other.since)), default=None)
        return Period(since, min(filter(None, (self.until, other.until)), default=None))

    def __bool__(self) -> bool:
        return self.since is not None or self.until is not None


@dataclass(frozen=True, slots=True)
class IndexWord:
    """A word of an index: whole, or the beginning of one."""

    text: str
    prefix: bool = False


@dataclass(frozen=True, slots=True)
class Piece:
    """A word or phrase of a search: `folded` has to occur, `raw` literally where it contains no word.

    `certain` tokens find all rows with it; if `exact`, only those. `near` tokens find it without completing its last
    word, None if the index holds beginnings of that length: all rows of other beginnings are collected, which is slow.
    """

    raw: str
    folded: str
    whole: bool
    certain: tuple[IndexWord, ...]
    near: tuple[IndexWord, ...] | None
    exact: bool

    def occurs(self, text: str, shortest: int) -> bool:
        """Return whether a text contains the piece; words of fewer than `shortest` characters are whole ones."""
        if not self.certain:
            return self.raw.lower() in text.lower()
        folded = search_words.fold(text)
        if self.folded not in folded:
            return False
        found = search_words.occurrences(self.folded, folded, whole=self.whole, shortest=shortest)
        return next(found, None) is not None


@dataclass(frozen=True, slots=True)
class Index:
    """A table and its index: the lengths of beginnings that the index holds, and the shortest word to complete."""

    name: str
    model: Any
    beginnings: tuple[int, ...]
    shortest: int

    @property
    def expression(self) -> ColumnElement[Any]:
        """PostgreSQL's indexed expression."""
        if self.model is Message:
            columns: Any = (Message.account_id, Message.id, Message.conversation_id, Message.sent_at, Message.terms)
            return func.search_message(*columns)
        columns = (Identity.account_id, Identity.id, Identity.ig_participant_id, Identity.terms)
        return func.search_contact(*columns)


MESSAGES = Index("search_messages", Message, (3, 5), SHORTEST)
CONTACTS = Index("search_contacts", Identity, (1, 2, 3, 4, 5, 6, 7, 8), 1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What rows of an index have to match: all of `required`, one of each of `any_of`, none of `excluded`."""

    account_ids: tuple[int, ...] | None
    required: tuple[IndexWord, ...] = ()
    any_of: tuple[tuple[IndexWord, ...], ...] = ()
    excluded: tuple[IndexWord, ...] = ()
    period: Period = field(default_factory=Period)


_Window = tuple[tuple[IndexWord, ...], ...]  # what limits a search to newer rows, in the form of `any_of`


def parse_piece(piece: tuple[str, bool], index: Index) -> Piece:
    """Return a word or phrase, given with whether it is a phrase, as it is searched in an index."""
    raw, phrase = piece
    folded = search_words.fold(raw)
    found = list(search_words.parts(folded))
    if not found:
        return Piece(raw, folded, phrase, (), None, exact=False)
    *_, (last, unspaced) = found
    tokens: list[IndexWord] = []
    near = None
    ends = phrase or not folded.endswith(last)  # the last word is a whole one
    for part, is_unspaced in found[:-1]:
        tokens += _unspaced(part) if is_unspaced else [IndexWord(part[: search_words.WORD_CHARACTERS])]
    alone = len(found) == 1 and folded == last and len(last) <= search_words.WORD_CHARACTERS
    if unspaced:
        tokens += _unspaced(last)
        return Piece(raw, folded, phrase, tuple(tokens), None, exact=alone and len(last) <= 2)
    last = last[: search_words.WORD_CHARACTERS]
    if ends or len(last) < index.shortest:
        tokens.append(IndexWord(last))
    else:
        if len(last) not in index.beginnings:
            near = (*tokens, IndexWord(last))
        tokens.append(IndexWord(last, prefix=True))
    return Piece(raw, folded, phrase, tuple(tokens), near, exact=alone)


def _unspaced(part: str) -> list[IndexWord]:
    if len(part) == 1:
        return [IndexWord(part, prefix=True)]
    return [IndexWord(part[at : at + 2]) for at in range(len(part) - 1)]


def find_rows(
    index: Index,
    wanted: Wanted,
    pieces: Sequence[Piece],
    excluded: Sequence[Piece],
    columns: Sequence[Any],
    text_of: Callable[[Any], str],
) -> list[Any]:
    """Return the newest rows that match `wanted`, contain all pieces and no excluded one, at most HITS."""
    decided = all(piece.exact for piece in (*pieces, *excluded))
    windows = _windows(index, wanted)

    def newest(tokens: Iterable[Iterable[IndexWord]], limit: int) -> list[Any]:
        asked = _also(wanted, tokens, excluded)
        rows = _newest(index, asked, columns, limit, windows)
        return rows if decided else [row for row in rows if matching(row)][:HITS]

    def matching(row: Any) -> bool:
        text = text_of(row)
        present = all(piece.occurs(text, index.shortest) for piece in pieces)
        return present and not any(piece.occurs(text, index.shortest) for piece in excluded)

    found_by_words = any(piece.certain for piece in pieces) or wanted.any_of or wanted.period
    limit = HITS if decided else HITS * 2 if found_by_words else SCANNED
    if any(piece.near for piece in pieces):
        rows = newest([piece.near or piece.certain for piece in pieces], limit)
        if len(rows) >= HITS:
            return rows
    return newest([piece.certain for piece in pieces], limit)


def _also(wanted: Wanted, tokens: Iterable[Iterable[IndexWord]], excluded: Sequence[Piece]) -> Wanted:
    """Return what rows have to match to be `wanted`, with all `tokens` and without what is surely excluded."""
    sure = chain(*(piece.certain for piece in excluded if piece.exact))
    return replace(wanted, required=(*wanted.required, *chain(*tokens)), excluded=(*wanted.excluded, *sure))


def candidates(index: Index, wanted: Wanted, columns: Sequence[Any], limit: int) -> list[Any]:
    """Return the newest rows that the index finds."""
    return _newest(index, wanted, columns, limit, _windows(index, wanted))


def _newest(index: Index, wanted: Wanted, columns: Sequence[Any], limit: int, windows: Sequence[_Window]) -> list[Any]:
    since, until = wanted.period.since, wanted.period.until
    if is_sqlite():
        return _fts_rows(index, wanted, _sent_within(select(*columns), since, until), limit)
    found = _matching(index, tuple(columns), has_since=since is not None, has_until=until is not None)
    left, rows = list(windows), list[Any]()
    while left and len(rows) < limit:
        values = {"words": _tsquery(index, wanted, left.pop(0)), "since": since, "until": until, "limit": limit}
        rows = list(db.session.execute(found, values))
        if not rows and len(left) > 1 and not until:
            del left[0]  # a rare word: the next window would not have enough of them either
    return rows


@lru_cache(maxsize=32)
def _matching(index: Index, columns: tuple[Any, ...], *, has_since: bool, has_until: bool) -> Select[Any]:
    """Return PostgreSQL's query of an index, built once: building it takes longer than executing it."""
    found = _sent_within(
        select(*columns), bindparam("since") if has_since else None, bindparam("until") if has_until else None
    )
    found = found.where(index.expression.op("@@")(cast(bindparam("words", type_=Text), TSQUERY)))
    if index.model is Message:
        found = found.where(Message.terms.is_not(None))
    # Not by the ID itself: the planner would read all rows by their key, newest first, instead of the index.
    return found.order_by((index.model.id + 0).desc()).limit(bindparam("limit"))


def _sent_within(found: Select[Any], since: Any, until: Any) -> Select[Any]:
    if since is not None:
        found = found.where(Message.sent_at >= since)
    return found if until is None else found.where(Message.sent_at < until)


def _windows(index: Index, wanted: Wanted) -> Sequence[_Window]:
    """Return what to add to `wanted` to search the newest rows first, at last all of them; only for PostgreSQL."""
    return () if is_sqlite() else tuple(_iter_windows(index, wanted))


def _iter_windows(index: Index, wanted: Wanted) -> Iterable[_Window]:
    if wanted.period.until:
        for days in DAYS_AT_FIRST:
            since = wanted.period.until - timedelta(days=days)
            if wanted.period.since and wanted.period.since >= since:
                break
            yield (*wanted.any_of, _in_period(Period(since, wanted.period.until)))
    else:
        newest = db.session.execute(select(func.max(index.model.id))).scalar() or 0
        for name, bits in BLOCK_BITS.items():
            last = newest >> bits
            if last < NEWEST_BLOCKS:
                break
            yield (
                *_with_period(wanted),
                tuple(IndexWord(f"{FACT}{name}{last - back}") for back in range(NEWEST_BLOCKS)),
            )
    yield _with_period(wanted)


def _with_period(wanted: Wanted) -> tuple[tuple[IndexWord, ...], ...]:
    return (*wanted.any_of, _in_period(wanted.period)) if wanted.period else wanted.any_of


def _in_period(period: Period) -> tuple[IndexWord, ...]:
    """Return years, months and days (UTC) that cover a period."""
    first = (period.since or datetime(FIRST_YEAR, 1, 1, tzinfo=UTC)).date()
    newest = clock.now() + timedelta(days=366)  # a message from a clock that is ahead
    last = min(period.until or newest, newest).date()
    found, day = [], first
    while day <= last:
        if day.month == day.day == 1 and date(day.year, 12, 31) <= last:
            found.append(f"y{day.year}")
            day = date(day.year + 1, 1, 1)
        elif day.day == 1 and (after := date(day.year + day.month // 12, day.month % 12 + 1, 1)) <= last:
            found.append(f"m{day:%Y%m}")
            day = after
        else:
            found.append(f"d{day:%Y%m%d}")
            day += timedelta(days=1)
    return tuple(IndexWord(FACT + each) for each in found or ["y0"])


def _fts_rows(index: Index, wanted: Wanted, found: Select[Any], limit: int) -> list[Any]:
    return of_each_account(index.name, _match(wanted), found, index.model, wanted.account_ids, limit)


def of_each_account(
    name: str, words: str, found: Select[Any], model: Any, account_ids: Iterable[int] | None, limit: int
) -> list[Any]:
    """Return the rows of `found`, each with an `id`, for the newest matches of `words` in a search table of SQLite."""
    fts = table(name, column("rowid"), column(name))  # the column named like the table means all columns
    found = found.join(fts, fts.c.rowid.op("&")((1 << ID_BITS) - 1) == model.id)
    found = found.where(fts.c[name].op("MATCH")(words)).order_by(fts.c.rowid.desc()).limit(limit)
    if account_ids is None:
        account_ids = db.session.scalars(select(Account.id)).all()
    rows: list[Any] = []
    for account_id in account_ids:  # the newest of one account are neighbors in the index
        first = account_id << ID_BITS
        rows += db.session.execute(found.where(fts.c.rowid.between(first, first | ((1 << ID_BITS) - 1)))).all()
    return sorted(rows, key=lambda row: -row.id)[:limit]


def _match(wanted: Wanted) -> str:
    every_row = f'"{SQLITE_FACT}"*'
    groups = [_fts(token) for token in wanted.required]
    groups += ["({})".format(" OR ".join(map(_fts, one))) for one in _with_period(wanted)]
    positive = " AND ".join(groups) or every_row
    return " NOT ".join([f"({positive})", *map(_fts, wanted.excluded)])


def _fts(token: IndexWord) -> str:
    return '"{}"{}'.format(token.text.replace(FACT, SQLITE_FACT), "*" if token.prefix else "")


def _tsquery(index: Index, wanted: Wanted, any_of: Sequence[Sequence[IndexWord]]) -> str:
    def lexeme(token: IndexWord) -> str:
        text = token.text.replace("\\", "\\\\").replace("'", "''")
        if token.prefix and len(token.text) in index.beginnings:
            return f"'^{text}'"
        return f"'{text}'" + (":*" if token.prefix else "")

    groups = [lexeme(token) for token in wanted.required]
    groups += ["({})".format(" | ".join(map(lexeme, one))) for one in any_of]
    if wanted.account_ids is not None:
        accounts = " | ".join(f"'{FACT}a{each}'" for each in wanted.account_ids) or f"'{FACT}none'"
        groups.append(f"({accounts})")
    groups += [f"!{lexeme(token)}" for token in wanted.excluded]
    return " & ".join(groups) or f"'{FACT}a':*"


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
