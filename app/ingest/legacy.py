"""Names of an older system: its dump becomes sightings, merged like any other."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from app import clock
from app.db import transaction
from app.db.engine import db
from app.identities import observations
from app.identities.observations import UNDATED, ProfileObservation
from app.ingest import dump
from app.models.identity import Source
from app.models.inbox import ALL_IDS, Account, AccountState, all_ids
from app.text import real_name, storable

SINCE = datetime(2010, 10, 6, tzinfo=UTC)  # Instagram's first day: nobody was seen there before
CHUNK = 100  # people a transaction, so that deliveries get their turn between
URL_CHARACTERS = 4_000
_ID = re.compile(r"[0-9]{1,64}", re.ASCII)
_EPOCH = re.compile(r"[0-9]{10}(?:[0-9]{3})?", re.ASCII)  # in seconds, or in milliseconds
# What older systems called the columns we know.
ACCOUNT = ("account_id", "accountId", "ig_account_id", "instagram_account_id", "business_account_id", "location_id")
PERSON = (
    *("participant_id", "participantId", "participant_platform_id", "participantPlatformId", "instagram_user_id"),
    *("ig_user_id", "igsid", "user_id", "platform_user_id"),
)
USERNAME = ("username", "participant_username", "participantUsername")
NAME = ("name", "full_name", "participant_name", "participantName", "display_name")
PICTURE = ("profile_pic", "profile_pic_url", "profile_picture_url", "participant_profile_pic", "participantProfilePic")
SEEN = (
    *("last_fetched_at", "fetched_at", "updated_at", "updatedAt", "last_updated", "created_at", "createdAt"),
    "lastSuccessAt",  # of our own export
)
NULLS = frozenset({"", "null", "none", "\\n"})  # the last is \N, as MySQL and PostgreSQL write NULL


@dataclass(slots=True)
class Imported:
    """The three verification counts of a dump, and what became of its rows."""

    total: int = 0
    null_accounts: int = 0
    unique_pairs: int = 0
    unknown_accounts: int = 0
    unusable: int = 0
    nameless: int = 0
    names: int = 0


def load(path: Path) -> Imported:
    """Read a dump and merge the names in it; what is known better or newer stays. Doing it twice changes nothing.

    Rows without an account are dropped and counted, so are those of accounts that are not connected here and those
    without a person's id; of several rows for one person the newest counts, and one without a date is the oldest.
    Raises Invalid before anything is changed when the file cannot be read.
    """
    imported, newest = Imported(), dict[tuple[int, str], ProfileObservation]()
    accounts, pairs = _accounts(), set[tuple[str, str]]()
    for row in dump.rows(path):
        imported.total += 1
        account, person = _told(row, ACCOUNT), _told(row, PERSON)
        if account is None:
            imported.null_accounts += 1
        elif person is None:
            imported.unusable += 1
        else:
            pairs.add((account, person))
            _sort_in(row, accounts.get(account), person, newest, imported)
    imported.unique_pairs = len(pairs)
    for account_id, some in _chunks(newest):
        with transaction.write() as tx:
            imported.names += sum(observations.merge_legacy(tx, account_id, each) for each in some)
    return imported


def _sort_in(
    row: Mapping[str, Any],
    account: tuple[int, frozenset[str]] | None,
    person: str,
    newest: dict[tuple[int, str], ProfileObservation],
    imported: Imported,
) -> None:
    if account is None:
        imported.unknown_accounts += 1
        return
    account_id, own_ids = account
    seen = _sighting(row, person)
    if person in own_ids or person.upper().startswith("UNKNOWN") or not (seen.username or seen.name):
        imported.nameless += 1
        return
    if not _ID.fullmatch(person):
        imported.unusable += 1
        return
    before = newest.get((account_id, person))
    if before is None or before.at <= seen.at:
        newest[account_id, person] = seen


def _sighting(row: Mapping[str, Any], person: str) -> ProfileObservation:
    picture = _told(row, PICTURE)
    return ProfileObservation(
        person,
        username=_name(row, USERNAME),
        name=_name(row, NAME),
        picture_url=storable(picture) if picture and len(picture) <= URL_CHARACTERS else None,
        source=Source.LEGACY,
        at=_seen_at(_told(row, SEEN)),
    )


def _name(row: Mapping[str, Any], columns: Sequence[str]) -> str | None:
    return real_name(_told(row, columns))


def _told(row: Mapping[str, Any], columns: Sequence[str]) -> str | None:
    words = next((str(row[name]).strip() for name in columns if isinstance(row.get(name), str | int | float)), "")
    return words if words.lower() not in NULLS else None


def _seen_at(told: str | None) -> datetime:
    """When a row says it was learnt; UNDATED where it says nothing, or what cannot be."""
    try:
        if told and _EPOCH.fullmatch(told):
            at = clock.from_timestamp(int(told[:10]))
        else:
            at = datetime.fromisoformat((told or "").removesuffix(" UTC"))
            at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return UNDATED
    return at if SINCE <= at <= clock.now() else UNDATED


def _accounts() -> dict[str, tuple[int, frozenset[str]]]:
    """Every id by which a dump may name one of our accounts."""
    columns = (Account.id, Account.location_id, *ALL_IDS)
    known: dict[str, tuple[int, frozenset[str]]] = {}
    for row in db.session.execute(select(*columns).where(Account.state != AccountState.DELETING)):
        own_ids = all_ids(row)
        known |= dict.fromkeys(filter(None, (*own_ids, row.location_id)), (row.id, own_ids))
    return known


def _chunks(newest: Mapping[tuple[int, str], ProfileObservation]) -> Iterator[tuple[int, list[ProfileObservation]]]:
    by_account: dict[int, list[ProfileObservation]] = {}
    for (account_id, _), seen in newest.items():
        by_account.setdefault(account_id, []).append(seen)
    for account_id, people in by_account.items():
        for begin in range(0, len(people), CHUNK):
            yield account_id, people[begin : begin + CHUNK]
