"""Import names from an older system's tables, merged like any other observation of a contact.

Writes identities only, through app/identities: no conversation and no message.
"""

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
from app.legacy_import import files
from app.models.account import ALL_IDS, Account, AccountState, all_ids
from app.models.identity import Source
from app.text import URL_CHARACTERS, real_name, storable

EARLIEST = datetime(2010, 10, 6, tzinfo=UTC)  # Instagram's first day
CHUNK = 100  # contacts per transaction, so that webhook deliveries can be stored in between
_ID = re.compile(r"[0-9]{1,64}", re.ASCII)
_EPOCH = re.compile(r"[0-9]{10}(?:[0-9]{3})?", re.ASCII)  # in seconds, or in milliseconds
# Names of columns in older systems.
ACCOUNT = ("account_id", "accountId", "ig_account_id", "instagram_account_id", "business_account_id", "location_id")
CONTACT = (
    *("participant_id", "participantId", "participant_platform_id", "participantPlatformId", "instagram_user_id"),
    *("ig_user_id", "igsid", "user_id", "platform_user_id"),
)
USERNAME = ("username", "participant_username", "participantUsername")
NAME = ("name", "full_name", "participant_name", "participantName", "display_name")
PICTURE = ("profile_pic", "profile_pic_url", "profile_picture_url", "participant_profile_pic", "participantProfilePic")
FETCHED_AT = (
    *("last_fetched_at", "fetched_at", "updated_at", "updatedAt", "last_updated", "created_at", "createdAt"),
    "lastSuccessAt",  # of Nametag's own export
)
NULLS = frozenset({"", "null", "none", "\\n"})  # the last is \N, as MySQL and PostgreSQL write NULL


@dataclass(slots=True)
class ImportCounts:
    """Result of an import: the verification counts `total`, `null_accounts` and `unique_pairs`, and the rest.

    `unique_pairs` counts the distinct (account, contact) pairs, also of accounts that are not connected here. `names`
    counts the identities that were added or updated.
    """

    total: int = 0
    null_accounts: int = 0
    unique_pairs: int = 0
    unknown_accounts: int = 0
    unusable: int = 0
    without_name: int = 0
    names: int = 0


def import_names(path: Path) -> ImportCounts:
    """Import the names in a file; better or newer names that are already stored are kept. Importing twice is safe.

    Rows without an account, of accounts that are not connected here, without a contact ID or without a name are
    dropped and counted. Of several rows for one contact the newest counts; one without a time is the oldest. Raises
    Invalid, before anything is changed, for a file that can't be read.
    """
    counts, newest = ImportCounts(), dict[tuple[int, str], ProfileObservation]()
    accounts, pairs = _accounts_by_id(), set[tuple[str, str]]()
    for row in files.read_rows(path):
        counts.total += 1
        account, contact = _value(row, ACCOUNT), _value(row, CONTACT)
        if account is None:
            counts.null_accounts += 1
        elif contact is None:
            counts.unusable += 1
        else:
            pairs.add((account, contact))
            _keep_newest(row, accounts.get(account), contact, newest, counts)
    counts.unique_pairs = len(pairs)
    for account_id, chunk in _chunks(newest):
        with transaction.write() as tx:
            counts.names += sum(observations.merge_legacy(tx, account_id, each) for each in chunk)
    return counts


def _accounts_by_id() -> dict[str, tuple[int, frozenset[str]]]:
    """Return (row ID, own IDs) of the accounts by each ID that a file may have for them."""
    columns = (Account.id, Account.location_id, *ALL_IDS)
    known: dict[str, tuple[int, frozenset[str]]] = {}
    for row in db.session.execute(select(*columns).where(Account.state != AccountState.DELETING)):
        own_ids = all_ids(row)
        known |= dict.fromkeys(filter(None, (*own_ids, row.location_id)), (row.id, own_ids))
    return known


def _keep_newest(
    row: Mapping[str, Any],
    account: tuple[int, frozenset[str]] | None,
    contact: str,
    newest: dict[tuple[int, str], ProfileObservation],
    counts: ImportCounts,
) -> None:
    if account is None:
        counts.unknown_accounts += 1
        return
    account_id, own_ids = account
    seen = _observation(row, contact)
    if contact in own_ids or contact.upper().startswith("UNKNOWN") or not seen.has_name:
        counts.without_name += 1
        return
    if not _ID.fullmatch(contact):
        counts.unusable += 1
        return
    before = newest.get((account_id, contact))
    if before is None or before.at <= seen.at:
        newest[account_id, contact] = seen


def _observation(row: Mapping[str, Any], contact: str) -> ProfileObservation:
    picture = _value(row, PICTURE)
    return ProfileObservation(
        contact,
        username=real_name(_value(row, USERNAME)),
        name=real_name(_value(row, NAME)),
        picture_url=storable(picture) if picture and len(picture) <= URL_CHARACTERS else None,
        source=Source.LEGACY,
        at=_fetched_at(_value(row, FETCHED_AT)),
    )


def _value(row: Mapping[str, Any], columns: Sequence[str]) -> str | None:
    """Return the first of the columns that has a text or number, None for NULL."""
    value = next((str(row[name]).strip() for name in columns if isinstance(row.get(name), str | int | float)), "")
    return value if value.lower() not in NULLS else None


def _fetched_at(value: str | None) -> datetime:
    """Return the time of a row (aware UTC), UNDATED if it is missing, malformed, in the future or before Instagram."""
    try:
        if value and _EPOCH.fullmatch(value):
            at = clock.from_timestamp(int(value[:10]))
        else:
            at = datetime.fromisoformat((value or "").removesuffix(" UTC"))
            at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return UNDATED
    return at if EARLIEST <= at <= clock.now() else UNDATED


def _chunks(newest: Mapping[tuple[int, str], ProfileObservation]) -> Iterator[tuple[int, list[ProfileObservation]]]:
    by_account: dict[int, list[ProfileObservation]] = {}
    for (account_id, _), seen in newest.items():
        by_account.setdefault(account_id, []).append(seen)
    for account_id, contacts in by_account.items():
        for begin in range(0, len(contacts), CHUNK):
            yield account_id, contacts[begin : begin + CHUNK]
