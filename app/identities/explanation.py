"""Why somebody is called what they are called: the verdict, what can be done, and everything that was tried."""

import json
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from app import logs
from app.db.engine import db
from app.identities import listing, lookup_sources, reasons, username_history
from app.identities.failure_policy import STOP_AFTER
from app.identities.listing import ListedIdentity
from app.identities.lookup_sources import LookupSource
from app.identities.reasons import ReasonText
from app.identities.username_history import UsernameChange
from app.instagram.previews import preview
from app.labels import label
from app.models.identity import Identity, Lookup, Source
from app.models.inbox import Account, Conversation
from app.text import escape_invisible
from app.viewer import Viewer

LOOKUPS = 50


@dataclass(frozen=True, slots=True)
class Step:
    """One rung of how the name was chosen; `used` is the one that is shown."""

    label: str
    told: str
    value: str | None
    used: bool


@dataclass(frozen=True, slots=True)
class PastLookup:
    """One call that was made for this person. `at` is aware UTC, the time it took in milliseconds."""

    at: datetime
    asked_by: str
    http_status: int | None
    code: str | None
    answer: str | None
    took_ms: int | None


@dataclass(frozen=True, slots=True)
class SeenIn:
    """The contact's conversation and its last message: when (aware UTC), and its text or what it is."""

    conversation_id: int
    at: datetime
    preview: str
    outgoing: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything about one person's name."""

    person: ListedIdentity
    account: str
    meaning: ReasonText
    steps: tuple[Step, ...]
    lookups: tuple[PastLookup, ...]
    raw: str | None
    tries: int
    most_tries: int
    changes: tuple[UsernameChange, ...]
    places: tuple[LookupSource, ...]
    seen_in: SeenIn | None

    @property
    def refusals(self) -> int:
        """How many of the lookups were answered as the last one was, if that brought no name."""
        last = self.lookups[0].code if self.lookups else None
        return sum(each.code == last for each in self.lookups) if last else 0


def explain(viewer: Viewer, identity_id: int) -> Explanation:
    """Return why a person is called what they are; raises NotFound, also for whom the viewer may not see."""
    person = listing.get_identity(viewer, identity_id)
    row = db.session.get_one(Identity, identity_id)
    account = db.session.get_one(Account, person.account_id)
    return Explanation(
        person=person,
        account=account.username or account.ig_account_id,
        meaning=_meaning(person, row.last_error),
        steps=_steps(person, row),
        lookups=tuple(_lookups(person)),
        raw=_readable(row),
        tries=min(person.failure_count, STOP_AFTER),
        most_tries=STOP_AFTER,
        changes=tuple(username_history.username_changes(person.account_id, person.ig_participant_id)),
        places=lookup_sources.lookup_sources(person, sources=(row.username_source, row.name_source), met_at=row.met_at),
        seen_in=_seen_in(person),
    )


def identity_of(viewer: Viewer, account_id: int, ig_participant_id: str) -> int | None:
    """Return the id of a participant's identity, None where there is none that the viewer may see."""
    found = select(Identity.id).where(
        Identity.account_id == account_id, Identity.ig_participant_id == ig_participant_id
    )
    found = viewer.visible(found, Identity.account_id)
    return db.session.execute(found).scalar()


def _meaning(person: ListedIdentity, last_error: str | None) -> ReasonText:
    if person.reason is not None and person.display.known:
        return reasons.explain_stale_reason(last_error, retries=person.next_try_at is not None)
    if person.reason is not None:
        return reasons.explain_reason(person.reason, last_error)
    if person.username:
        return ReasonText(
            "Instagram told the username", "", "Nothing is needed; it is looked up again every seven days."
        )
    return ReasonText("Instagram sent a name but no username", "", "Nothing is needed; the name is shown.")


def _steps(person: ListedIdentity, row: Identity) -> tuple[Step, ...]:
    username = Step(
        "Username", _from(row.username_source), person.username and f"@{person.username}", bool(person.username)
    )
    named = not person.username and bool(person.name)
    name = Step("Name", _from(row.name_source), person.name, named)
    short = Step("Short ID", "Last 6 digits of the Instagram ID", None, not person.display.known)
    if short.used:
        short = Step(short.label, short.told, person.display.text, used=True)
    return username, name, short


def _from(source: Source | None) -> str:
    return label(source) if source else "Not returned by any source"


def _lookups(person: ListedIdentity) -> list[PastLookup]:
    columns = (Lookup.at, Lookup.purpose, Lookup.http_status, Lookup.code, Lookup.answer, Lookup.took_ms)
    found = select(*columns).where(
        Lookup.account_id == person.account_id, Lookup.ig_participant_id == person.ig_participant_id
    )
    rows = db.session.execute(found.order_by(Lookup.at.desc(), Lookup.id.desc()).limit(LOOKUPS))
    return [PastLookup(row.at, label(row.purpose), row.http_status, row.code, row.answer, row.took_ms) for row in rows]


def _readable(row: Identity) -> str | None:
    if not row.raw_answer:
        return None
    return escape_invisible(logs.redact(json.dumps(row.raw_answer, ensure_ascii=False, indent=2)))


def _seen_in(person: ListedIdentity) -> SeenIn | None:
    found = select(Conversation).where(
        Conversation.account_id == person.account_id, Conversation.ig_participant_id == person.ig_participant_id
    )
    row = db.session.scalars(found).first()
    if row is None:
        return None
    outgoing = row.last_message_outgoing
    last = preview(row.last_message_kind, row.last_message_preview, outgoing=outgoing)
    return SeenIn(row.id, row.last_message_at, last, outgoing)
