"""Find contacts by username, earlier username, name and ID: one rule for inbox, Identities, jobs and API."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, select

from app import search_words
from app.db.engine import db, is_sqlite
from app.db.planning import planned_for_values
from app.identities import display
from app.models.identity import Identity, UsernameHistory
from app.search_index import CONTACTS, HITS, IndexWord, Wanted, candidates, find_rows, of_each_account, parse_piece

Contact = tuple[int, str]  # the account's internal ID, and the contact's
Contacts = dict[Contact, int]  # contacts with their identities' IDs

MOST = HITS  # contacts that a search finds, the newest
GRAM_CHARACTERS = 3  # the shortest term of a trigram index
_GRAM = re.compile(rf"[^\W_]{{{GRAM_CHARACTERS}}}")
NEWEST_FIRST = (8_000, 130_000)  # IDs that PostgreSQL compares before it reads all that its trigram index finds


@dataclass(frozen=True, slots=True)
class Formerly:
    """A contact was found by a username that was theirs until `until` (aware UTC)."""

    username: str
    until: datetime


Named = tuple[Contacts, dict[Contact, Formerly]]


def find(q: str, account_ids: tuple[int, ...] | None) -> Contacts:
    """Return at most MOST contacts of these accounts (None for all) that match a search term, newest first."""
    words = [(each, False) for each in q.split()]
    with planned_for_values():
        found = by_words(words, account_ids)[0] if words else {}
    return dict(list(found.items())[:MOST])


def by_words(words: Sequence[tuple[str, bool]], account_ids: tuple[int, ...] | None) -> Named:
    """Return the contacts whose names or ID contain all words, or who were called so; parts only if none begins so.

    The newest come first, those found by an earlier username last. Each word is given with whether it is a phrase.
    """
    first, *others = words
    bare = (display.search_words(first[0]), first[1])
    pieces = [parse_piece(each, CONTACTS) for each in (bare, *others) if each[0]]
    if not pieces:
        return {}, {}
    found = _contacts(find_rows(CONTACTS, Wanted(account_ids), pieces, (), _COLUMNS, _names_of))
    if len(pieces) > 1:
        return found, {}
    former = _formerly(bare[0], account_ids)
    if not found and len(bare[0]) >= GRAM_CHARACTERS:
        found = _by_part(bare[0], account_ids)
    return _with_former(found, former)


def by_name(value: str, account_ids: tuple[int, ...] | None) -> Named:
    """Return the contacts that from: names: by username, also an earlier one; without "@" also by their names."""
    former = _formerly(value, account_ids)
    if value.startswith("@"):
        username = search_words.fold(value.removeprefix("@"))
        token = IndexWord(username[: search_words.WORD_CHARACTERS])
        rows = candidates(CONTACTS, Wanted(account_ids, (token,)), _COLUMNS, HITS)
        found = _contacts(row for row in rows if search_words.fold(row.username or "") == username)
        digits = value.removeprefix(f"@{display.SHORT_PREFIX}")
        if digits != value and digits.isdigit():
            found |= by_words([(digits, True)], account_ids)[0]
    else:
        found = by_words([(each, False) for each in value.split()], account_ids)[0]
    return _with_former(found, former)


_COLUMNS = (Identity.id, Identity.account_id, Identity.ig_participant_id, Identity.username, Identity.name)
_FORMERLY = (
    select(Identity.id, Identity.account_id, Identity.ig_participant_id)
    .add_columns(UsernameHistory.old_username, UsernameHistory.at)
    .join(Identity, Identity.id == UsernameHistory.identity_id)
    .where(UsernameHistory.old_username.in_((bindparam("username"), bindparam("folded"))))
    .order_by(UsernameHistory.at)
    .limit(bindparam("limit"))
)
_Former = dict[Contact, tuple[int, Formerly]]


def _contacts(rows: Iterable[Any]) -> Contacts:
    return {(row.account_id, row.ig_participant_id): row.id for row in rows}


def _with_former(found: Contacts, former: _Former) -> Named:
    new = {who: was for who, was in former.items() if who not in found}
    return found | {who: id_ for who, (id_, _) in new.items()}, {who: was for who, (_, was) in new.items()}


def _formerly(value: str, account_ids: tuple[int, ...] | None) -> _Former:
    username = value.removeprefix("@")
    found = _FORMERLY if account_ids is None else _FORMERLY.where(Identity.account_id.in_(account_ids))
    return {
        (row.account_id, row.ig_participant_id): (row.id, Formerly(row.old_username, row.at))
        for row in db.session.execute(found, {"username": username, "folded": username.lower(), "limit": HITS})
    }


def _by_part(part: str, account_ids: tuple[int, ...] | None) -> Contacts:
    part = part.lower()
    found: Any = select(Identity.id, Identity.account_id, Identity.ig_participant_id)
    if is_sqlite():
        quoted = '"{}"'.format(part.replace('"', '""'))
        return _contacts(of_each_account("search_usernames", quoted, found, Identity, account_ids, HITS))
    found = found.where(func.lower(Identity.username).contains(part, autoescape=True))
    if account_ids is not None:
        found = found.where(Identity.account_id.in_(account_ids))
    newest = db.session.execute(select(func.max(Identity.id))).scalar() or 0
    for first in NEWEST_FIRST:
        rows = db.session.execute(
            found.where(Identity.id > newest - first).order_by(Identity.id.desc()).limit(HITS)
        ).all()
        if len(rows) == HITS or first > newest:
            return _contacts(rows)
    if not _GRAM.search(part):  # without a trigram PostgreSQL would compare all
        return _contacts(rows)
    return _contacts(db.session.execute(found.order_by((Identity.id + 0).desc()).limit(HITS)))


def _names_of(row: Any) -> str:
    short = display.short_id(row.ig_participant_id)
    return f"{row.username or ''} {row.name or ''} {row.ig_participant_id} {short}"
