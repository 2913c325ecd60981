"""The sources of a contact's name: conversation sync, Redis, database and profile, and what each of them returned."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from app.calls import budget
from app.db.engine import db
from app.identities import cache
from app.identities.listing import ListedIdentity, NameState
from app.identities.observations import FRESH
from app.models.call import READS_CONVERSATIONS, ApiCall
from app.models.identity import Source
from app.text import plural

DONE, WARN, BAD, PLAIN = "done", "warn", "bad", ""  # colors of a finding


@dataclass(frozen=True, slots=True)
class LookupSource:
    """One source. `finding` is a word in the color `state`; `explanation` a sentence with the times `at` and `until`.

    Times are aware UTC.
    """

    label: str
    icon: str
    finding: str
    state: str
    explanation: str
    at: datetime | None = None
    until: datetime | None = None
    seconds_left: int | None = None


def lookup_sources(
    contact: ListedIdentity, *, sources: Sequence[Source | None], first_seen_at: datetime
) -> tuple[LookupSource, ...]:
    """Return what each source holds about a contact; `sources` are those of the stored username and name."""
    return _pages(contact, sources, first_seen_at), _redis(contact), _row(contact), _profile(contact, sources)


def _pages(contact: ListedIdentity, sources: Sequence[Source | None], first_seen_at: datetime) -> LookupSource:
    label, icon = "Conversation sync", "refresh"
    read_at = db.session.execute(
        select(ApiCall.at)
        .where(
            ApiCall.account_id == contact.account_id,
            READS_CONVERSATIONS,
            ApiCall.http_status == 200,
            ApiCall.at >= first_seen_at,
        )
        .order_by(ApiCall.at.desc())
        .limit(1)
    ).scalar()
    if Source.CONVERSATIONS in sources:
        return LookupSource(label, icon, "Found", DONE, "Username found.", at=read_at)
    if read_at is None:
        return LookupSource(label, icon, "Not synced", PLAIN, "Not synced since this contact first wrote.")
    return LookupSource(label, icon, "Empty", PLAIN, "No username in the last sync.", at=read_at)


def _redis(contact: ListedIdentity) -> LookupSource:
    label, icon = "Redis", "bolt"
    left = cache.seconds_left(contact.ig_account_id, contact.ig_participant_id)
    if left is None:
        return LookupSource(label, icon, "Unavailable", WARN, "Can’t reach Redis.")
    if not left:
        return LookupSource(label, icon, "Empty", PLAIN, "Not cached. Names are cached for 24 hours.")
    return LookupSource(label, icon, "Hit", DONE, "Cached.", seconds_left=left)


def _row(contact: ListedIdentity) -> LookupSource:
    label, icon = "Database", "database"
    at = contact.last_success_at
    if at is None:
        missing = "Stored, but no lookup succeeded." if contact.last_failure_at else "Stored, but never looked up."
        return LookupSource(label, icon, "Empty", PLAIN, missing)
    if contact.state is NameState.KNOWN:
        return LookupSource(label, icon, "Fresh", DONE, "Refreshed", until=at + FRESH)
    cause = "Older than 7 days; due for refresh." if contact.reason is None else "The last lookup failed."
    return LookupSource(label, icon, "Stale", WARN, cause, at=at)


def _profile(contact: ListedIdentity, sources: Sequence[Source | None]) -> LookupSource:
    label, icon = "Profile API", "brand-instagram"
    found = select(ApiCall.code, ApiCall.took_ms).where(
        ApiCall.is_contact(contact.account_id, contact.ig_participant_id), ApiCall.call == budget.PROFILE
    )
    calls = db.session.execute(found.order_by(ApiCall.at.desc(), ApiCall.id.desc())).all()
    if not calls:
        return LookupSource(label, icon, "Not requested", PLAIN, "Not requested yet.")
    number = plural(len(calls), "call")
    if calls[0].code is not None:
        return LookupSource(label, icon, "Failed", BAD, f"{number}; the last one failed.")
    if Source.PROFILE in sources:
        return LookupSource(label, icon, "Found", DONE, f"{number}.")
    return LookupSource(label, icon, "Empty", PLAIN, f"{number}; no name in the last response.")
