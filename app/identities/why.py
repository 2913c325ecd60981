"""Why somebody is called what they are called: the verdict, what can be done, and everything that was tried."""

import json
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Row, func, select

from app import logs
from app.db.engine import db
from app.identities import changes, listing
from app.identities.changes import Change
from app.identities.listing import ListedIdentity
from app.identities.verdict import STOP_AFTER
from app.instagram.errors import Reason
from app.models.identity import Identity, Lookup, Purpose, Source
from app.models.inbox import Account, Conversation
from app.viewer import Viewer

LOOKUPS = 50
ASKED_BY = {
    Purpose.LIVE: "A message",
    Purpose.ASKED: "Somebody here",
    Purpose.BACKFILL: "Backfill job",
    Purpose.REFRESH: "Refresh identities",
    Purpose.DAILY: "Daily refresh",
    Purpose.CHECK: "A check",
    Purpose.SYNC: "Reading back",
}
SOURCES = {
    Source.CONVERSATIONS: "Conversations API",
    Source.PROFILE: "Profile API",
    Source.LEGACY: "An earlier inbox",
    Source.REDIS: "Redis",
    Source.ROW: "Database",
}
WAIT = "Tried again on its own."
# What each reason means, and what can be done (ui.md 6.6).
VERDICTS: dict[str, tuple[str, str]] = {
    "never_tried": ("Nobody was asked for this person yet", "Refresh now, or wait for the next backfill."),
    Reason.CONSENT: (
        "This person hasn’t agreed to share a profile",
        "Consent comes with their first message: when they write, the name is looked up again on its own.",
    ),
    Reason.NOT_VISIBLE: (
        "They blocked the account, or no longer exist",
        "Keep the short ID. A retry may help if they unblocked the account.",
    ),
    Reason.NO_NAME: ("Instagram answered without a username and without a name", WAIT),
    Reason.RATE_LIMITED: ("This hour’s API budget is used up", WAIT),
    Reason.TIMEOUT: ("Instagram didn’t answer in time", WAIT),
    Reason.NETWORK: ("Instagram could not be reached", WAIT),
    Reason.TEMPORARY: ("Instagram had a temporary problem", WAIT),
    Reason.TOKEN: ("The account’s token is expired", "Reconnect the account."),
    Reason.PERMISSION: ("A permission is missing at Meta", "Reconnect the account with every permission."),
    Reason.FIELD: ("Instagram refused a field that was asked for", WAIT),
    Reason.REFUSED: ("Instagram refused the request", "Repeating it would not help until they write."),
    Reason.BAD_ANSWER: ("Instagram’s answer could not be understood", WAIT),
    "stopped": (
        f"{STOP_AFTER} tries in a row failed, and automatic tries have stopped",
        "Clear the failures and retry, or wait until they write.",
    ),
}


@dataclass(frozen=True, slots=True)
class Step:
    """One rung of how the name was chosen; `used` is the one that is shown."""

    label: str
    told: str
    value: str | None
    used: bool


@dataclass(frozen=True, slots=True)
class LookedUp:
    """One call that was made for this person. `at` is aware UTC, the time it took in milliseconds."""

    at: datetime
    asked_by: str
    http_status: int | None
    code: str | None
    answer: str | None
    took_ms: int | None


@dataclass(frozen=True, slots=True)
class Why:
    """Everything about one person's name."""

    person: ListedIdentity
    account: str
    verdict: str
    can_do: str
    steps: tuple[Step, ...]
    lookups: tuple[LookedUp, ...]
    raw: str | None
    tries: int
    most_tries: int
    changes: tuple[Change, ...]
    conversation_id: int | None
    last_message_at: datetime | None


def of(viewer: Viewer, identity_id: int) -> Why:
    """Return why a person is called what they are; raises NotFound, also for whom the viewer may not see."""
    person = listing.of(viewer, identity_id)
    row = db.session.get_one(Identity, identity_id)
    account = db.session.get_one(Account, person.account_id)
    conversation = _conversation(person)
    verdict, can_do = _verdict(person)
    return Why(
        person=person,
        account=account.username or account.ig_account_id,
        verdict=verdict,
        can_do=can_do,
        steps=_steps(person, row),
        lookups=tuple(_lookups(person)),
        raw=_readable(row),
        tries=min(person.failure_count, STOP_AFTER),
        most_tries=STOP_AFTER,
        changes=tuple(changes.of(person.account_id, person.ig_participant_id)),
        conversation_id=conversation.id if conversation else None,
        last_message_at=conversation.last_message_at if conversation else None,
    )


def identity_of(viewer: Viewer, account_id: int, ig_participant_id: str) -> int | None:
    """Return the id of a participant's identity, None where there is none that the viewer may see."""
    found = select(Identity.id).where(
        Identity.account_id == account_id, Identity.ig_participant_id == ig_participant_id
    )
    if viewer.account_ids is not None:
        found = found.where(Identity.account_id.in_(viewer.account_ids))
    return db.session.execute(found).scalar()


def _verdict(person: ListedIdentity) -> tuple[str, str]:
    if person.reason is not None:
        return VERDICTS.get(person.reason, VERDICTS["never_tried"])
    if person.username:
        return "Instagram told the username", "Nothing is needed; it is looked up again every seven days."
    return "Instagram sent a name but no username", "Nothing is needed; the name is shown."


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
    return SOURCES[source] if source else "Not returned by any source"


def _lookups(person: ListedIdentity) -> list[LookedUp]:
    columns = (Lookup.at, Lookup.purpose, Lookup.http_status, Lookup.code, Lookup.answer, Lookup.took_ms)
    found = select(*columns).where(
        Lookup.account_id == person.account_id, Lookup.ig_participant_id == person.ig_participant_id
    )
    rows = db.session.execute(found.order_by(Lookup.at.desc(), Lookup.id.desc()).limit(LOOKUPS))
    return [LookedUp(row.at, ASKED_BY[row.purpose], row.http_status, row.code, row.answer, row.took_ms) for row in rows]


def _readable(row: Identity) -> str | None:
    return logs.redact(json.dumps(row.raw_answer, ensure_ascii=False, indent=2)) if row.raw_answer else None


def _conversation(person: ListedIdentity) -> Row[int, datetime] | None:
    return db.session.execute(
        select(Conversation.id, func.max(Conversation.last_message_at).label("last_message_at"))
        .where(
            Conversation.account_id == person.account_id,
            Conversation.ig_participant_id == person.ig_participant_id,
        )
        .group_by(Conversation.id)
    ).first()
