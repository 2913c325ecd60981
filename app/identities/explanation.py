"""Explain a contact's display name: the reason, what to do, the sources, and every lookup."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from app import clock, logs
from app.db.engine import db
from app.identities import display, listing, lookup_sources, reasons, username_history
from app.identities.failure_policy import STOP_AFTER
from app.identities.listing import ListedIdentity
from app.identities.lookup_sources import LookupSource
from app.identities.reasons import ReasonText
from app.identities.username_history import UsernameChange, UsernameOwner
from app.instagram.previews import preview
from app.labels import label
from app.models.account import Account
from app.models.call import ApiCall
from app.models.conversation import Conversation
from app.models.identity import Identity, Source
from app.text import escape_invisible
from app.viewer import Viewer

LOOKUPS = 50


@dataclass(frozen=True, slots=True)
class Step:
    """One candidate for the display name, with its source `source`; `used` marks the one that is shown."""

    label: str
    source: str
    value: str | None
    used: bool


@dataclass(frozen=True, slots=True)
class PastLookup:
    """One API call about this contact. `at` is aware UTC; `asked_by` is the label of the call's purpose."""

    at: datetime
    asked_by: str
    http_status: int | None
    code: str | None
    answer: str | None
    took_ms: int | None


@dataclass(frozen=True, slots=True)
class SeenIn:
    """The contact's conversation and its last message: time (aware UTC), and its text or kind."""

    conversation_id: int
    at: datetime
    preview: str
    outgoing: bool


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything about the name of one contact."""

    contact: ListedIdentity
    account: str
    meaning: ReasonText
    steps: tuple[Step, ...]
    lookups: tuple[PastLookup, ...]
    raw: str | None
    tries: int
    most_tries: int
    changes: tuple[UsernameChange, ...]
    other_owners: tuple[UsernameOwner, ...]
    sources: tuple[LookupSource, ...]
    seen_in: SeenIn | None

    @property
    def refusals(self) -> int:
        """The number of lookups that failed with the error of the last one; 0 if the last one succeeded."""
        last = self.lookups[0].code if self.lookups else None
        return sum(each.code == last for each in self.lookups) if last else 0


def explain(viewer: Viewer, identity_id: int) -> Explanation:
    """Return the explanation of an identity; raises NotFound, also for one the viewer may not see."""
    contact = listing.get_identity(viewer, identity_id)
    row = db.session.get_one(Identity, identity_id)
    account = db.session.get_one(Account, contact.account_id)
    sources = (row.username_source, row.name_source)
    return Explanation(
        contact=contact,
        account=account.username or account.ig_account_id,
        meaning=_meaning(contact, row.last_error),
        steps=_steps(contact, row),
        lookups=tuple(_lookups(contact)),
        raw=_readable(row),
        tries=min(contact.failure_count, STOP_AFTER),
        most_tries=STOP_AFTER,
        changes=tuple(username_history.username_changes(identity_id)),
        other_owners=tuple(username_history.other_owners(identity_id)),
        sources=lookup_sources.lookup_sources(contact, sources=sources, first_seen_at=row.first_seen_at),
        seen_in=_seen_in(contact),
    )


def list_lookups(viewer: Viewer, identity_id: int) -> list[PastLookup]:
    """Return the newest 50 API calls about a contact, newest first; raises NotFound."""
    return _lookups(listing.get_identity(viewer, identity_id))


def lookup_as_dict(lookup: PastLookup) -> dict[str, Any]:
    """Return a lookup as API and command line show it."""
    return {
        "at": clock.rfc3339(lookup.at),
        "triggeredBy": lookup.asked_by,
        "httpStatus": lookup.http_status,
        "code": lookup.code,
        "result": lookup.answer,
        "durationMs": lookup.took_ms,
    }


def _meaning(contact: ListedIdentity, last_error: str | None) -> ReasonText:
    if contact.reason is not None and contact.display.known:
        return reasons.explain_stale_reason(last_error, retries=contact.next_try_at is not None)
    if contact.reason is not None:
        return reasons.explain_reason(contact.reason, last_error)
    if contact.username:
        return ReasonText("Username found", "", "No action needed. Nametag refreshes it every 7 days.")
    return ReasonText("Instagram returned a name but no username", "", "No action needed.")


def _steps(contact: ListedIdentity, row: Identity) -> tuple[Step, ...]:
    username = Step(
        "Username", _from(row.username_source), contact.username and f"@{contact.username}", bool(contact.username)
    )
    named = not contact.username and bool(contact.name)
    name = Step("Name", _from(row.name_source), contact.name, named)
    short_id = display.display_name(contact.ig_participant_id, None, None).text
    digits = f"Last {display.SHORT_DIGITS} digits of the Instagram ID"
    short = Step("Short ID", digits, short_id, not contact.display.known)
    return username, name, short


def _from(source: Source | None) -> str:
    return label(source) if source else "Not returned by any source"


def _lookups(contact: ListedIdentity) -> list[PastLookup]:
    columns = (ApiCall.at, ApiCall.purpose, ApiCall.http_status, ApiCall.code, ApiCall.answer, ApiCall.took_ms)
    found = select(*columns).where(ApiCall.is_contact(contact.account_id, contact.ig_participant_id))
    rows = db.session.execute(found.order_by(ApiCall.at.desc(), ApiCall.id.desc()).limit(LOOKUPS))
    return [PastLookup(row.at, label(row.purpose), row.http_status, row.code, row.answer, row.took_ms) for row in rows]


def _readable(row: Identity) -> str | None:
    if not row.raw_answer:
        return None
    return escape_invisible(logs.redact(json.dumps(row.raw_answer, ensure_ascii=False, indent=2)))


def _seen_in(contact: ListedIdentity) -> SeenIn | None:
    found = select(Conversation).where(Conversation.is_contact(contact.account_id, contact.ig_participant_id))
    row = db.session.scalars(found).first()
    if row is None:
        return None
    outgoing = row.last_message_outgoing
    last = preview(row.last_message_kind, row.last_message_preview, outgoing=outgoing)
    return SeenIn(row.id, row.last_message_at, last, outgoing)
