"""Where a name was looked for: the pages of conversations, Redis, the row, the profile; and what each of them held."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from app.calls import budget
from app.db.engine import db
from app.identities import cache
from app.identities.listing import ListedIdentity, NameState
from app.identities.observations import FRESH
from app.models.identity import Lookup, Source

DONE, WARN, BAD, PLAIN = "done", "warn", "bad", ""  # how a finding is tinted


@dataclass(frozen=True, slots=True)
class LookupSource:
    """One source of names. `finding` is a word in the tint `state`; `at` and `until` (aware UTC) belong to `told`."""

    label: str
    icon: str
    finding: str
    state: str
    told: str
    at: datetime | None = None
    until: datetime | None = None
    seconds_left: int | None = None


def lookup_sources(
    person: ListedIdentity, *, sources: Sequence[Source | None], met_at: datetime
) -> tuple[LookupSource, ...]:
    """Return what each source held of a person; `sources` are those that their username and name came from."""
    return _pages(person, sources, met_at), _redis(person), _row(person), _profile(person, sources)


def _pages(person: ListedIdentity, sources: Sequence[Source | None], met_at: datetime) -> LookupSource:
    label, icon = "Conversation sync", "refresh"
    read_at = db.session.execute(
        select(func.max(Lookup.at)).where(
            Lookup.account_id == person.account_id,
            Lookup.call == budget.CONVERSATIONS,
            Lookup.http_status == 200,
            Lookup.at >= met_at,
        )
    ).scalar()
    if Source.CONVERSATIONS in sources:
        return LookupSource(label, icon, "Found", DONE, "The username stood there.", at=read_at)
    if read_at is None:
        return LookupSource(label, icon, "Not read", PLAIN, "No page was read since they were first met.")
    return LookupSource(label, icon, "Empty", PLAIN, "No username stood there.", at=read_at)


def _redis(person: ListedIdentity) -> LookupSource:
    label, icon = "Redis", "bolt"
    left = cache.seconds_left(person.ig_account_id, person.ig_participant_id)
    if left is None:
        return LookupSource(label, icon, "Away", WARN, "Redis cannot be asked at the moment.")
    if not left:
        return LookupSource(label, icon, "Empty", PLAIN, "Names are kept for 24 h; none is.")
    return LookupSource(label, icon, "Hit", DONE, "Name kept for 24 h.", seconds_left=left)


def _row(person: ListedIdentity) -> LookupSource:
    label, icon = "Database", "database"
    at = person.last_success_at
    if at is None:
        looked_up = (
            "no lookup has resolved the contact" if person.last_failure_at else "the contact was not looked up yet"
        )
        return LookupSource(label, icon, "Empty", PLAIN, f"Row exists, {looked_up}.")
    if person.state is NameState.KNOWN:
        return LookupSource(label, icon, "Fresh", DONE, "Refreshed", until=at + FRESH)
    why = "Older than 7 days; a refresh is due." if person.reason is None else "The last lookup failed."
    return LookupSource(label, icon, "Stale", WARN, why, at=at)


def _profile(person: ListedIdentity, sources: Sequence[Source | None]) -> LookupSource:
    label, icon = "Profile API", "brand-instagram"
    asked = select(Lookup.code, Lookup.took_ms).where(
        Lookup.account_id == person.account_id,
        Lookup.ig_participant_id == person.ig_participant_id,
        Lookup.call == budget.PROFILE,
    )
    calls = db.session.execute(asked.order_by(Lookup.at.desc(), Lookup.id.desc())).all()
    if not calls:
        return LookupSource(label, icon, "Not asked", PLAIN, "No call was made.")
    told = f"{len(calls)} {'call' if len(calls) == 1 else 'calls'}"
    if calls[0].code is not None:
        return LookupSource(label, icon, "Refused", BAD, f"{told}, last one refused.")
    if Source.PROFILE in sources:
        return LookupSource(label, icon, "Found", DONE, f"{told}.")
    return LookupSource(label, icon, "Empty", PLAIN, f"{told}, no name in the last answer.")
