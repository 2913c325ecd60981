"""Request models of the API. Unknown parameters and fields are refused."""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from app import text
from app.api.fields import (
    AlertEvent,
    AlertState,
    IdentityState,
    JobItemReason,
    JobItemState,
    LookupReason,
    described,
    untitled,
)
from app.inbox.listing import FILTERED
from app.inbox.search_query import GRAMMAR, KINDS, LINK, ORIGINS

PAGE, MOST = 50, 100
CURSOR_CHARACTERS = 1_000


def _plain(value: Any) -> Any:
    # Python also reads "+5", " 5", "5_0" and "5.0" as numbers; the API accepts digits only.
    if isinstance(value, str) and not re.fullmatch("-?[0-9]+", value):
        raise PydanticCustomError("plain_number", "Must be a whole number in plain digits")
    return value


Limit = Annotated[int, Field(ge=1, le=MOST), BeforeValidator(_plain)]
Cursor = Annotated[str, Field(max_length=CURSOR_CHARACTERS)]
Search = Annotated[str, Field(max_length=200)]
IgId = Annotated[str, Field(max_length=64)]
AN_ACCOUNT = "17841400000000101"


class Sent(BaseModel):
    """Base of all request models."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True, json_schema_extra=untitled)

    @field_validator("*", mode="before")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        return text.storable(value) if isinstance(value, str) else value


class ById(Sent):
    """Path with an ID."""

    id: IgId = described("The ID, as lists return it.")


class ByAccount(Sent):
    """Path with an account."""

    id: IgId = described("The professional account ID.", AN_ACCOUNT)


class ByName(Sent):
    """Path with the name of a schedule."""

    name: IgId = described("The schedule's name, as the list returns it.", "daily-refresh")


class AlertsQuery(Sent):
    """Filter of alerts."""

    state: AlertState | None = described("Only alerts in this state.", default=None)


class ReceiverChange(Sent):
    """What to change of an alert receiver."""

    address: str | None = described(
        "A URL that begins with https://, or an email address.",
        "https://example.com/alerts",
        default=None,
        max_length=500,
    )
    events: list[AlertEvent] | None = described(
        "What it is sent.", ["alert.opened", "alert.recovered"], default=None, min_length=1, max_length=10
    )
    accountIds: list[IgId] | None = described(
        "The professional account IDs whose alerts it gets; null: all, and those of the installation.",
        [AN_ACCOUNT],
        default=None,
        min_length=1,
        max_length=1_000,
    )
    quietHours: str | None = described("When nothing is sent; null: never.", "22:00-07:00", default=None, max_length=20)
    zone: str | None = described("The time zone of the quiet hours.", "Europe/Paris", default=None, max_length=64)


class ReceiverRequest(ReceiverChange):
    """A new alert receiver. Without `events`, it is sent all of them."""

    address: str = described(
        "A URL that begins with https://, or an email address.", "https://example.com/alerts", max_length=500
    )


class PictureOf(Sent):
    """Path of a picture."""

    accountId: IgId = described("The professional account ID.")
    participantId: IgId = described("The contact's ID, `participantPlatformId`.")


class PictureQuery(Sent):
    """Version of a picture, as in `participantProfilePic`."""

    v: str | None = described("The picture's version; it changes with the picture.", default=None, max_length=16)


class Paged(Sent):
    """Pagination parameters."""

    limit: Limit = described("Maximum number of results.", default=PAGE)
    cursor: Cursor | None = described(
        "Pagination cursor: `nextCursor` of the previous response with the same filters.", default=None
    )


class ConversationsQuery(Paged):
    """Filters of conversations."""

    accountId: IgId | None = described("Only of this professional account ID.", default=None)
    status: str | None = described("Only with this status.", default=None, max_length=16)
    unread: bool = described("Only with unread messages.", default=False)
    unknown: bool = described("Only with unknown contacts.", default=False)
    needsReply: bool = described(
        "Only conversations that need a reply, in the order `window`.",
        default=False,
    )
    order: Literal["window"] | None = described(
        "`window`: the 24-hour window that ends soonest first, then closed windows, the longest waiting contact first. "
        "Implies `needsReply=true`, and is implied by it. Default: newest first.",
        default=None,
    )
    q: Search = described(
        "Words, phrases and operators, as in the search field of the inbox. Days are UTC days. Grammar (EBNF):\n\n"
        f"```\n{GRAMMAR}\n```\n\nA conversation is found if one message, or the names and ID of its contact, contains "
        "all words and phrases, and one message matches all operators about messages. Words may be incomplete. "
        "`-` excludes. A value that an operator does not have is searched as a word. "
        f"`is:` {', '.join(FILTERED)}. `kind:` {', '.join(KINDS)}. `origin:` {', '.join(ORIGINS)}. `has:` {LINK}. "
        "`from:` a username, also an earlier one. `in:` an account's username. `before:`, `after:` and `on:` a date, "
        "month, year, `today` or `yesterday`.",
        default="",
    )


class ItemsQuery(Paged):
    """Filters of a job's contacts."""

    state: JobItemState | None = described("Only contacts in this state.", default=None)
    reason: JobItemReason | None = described("Only contacts with this reason.", default=None)


class IdentitiesQuery(Paged):
    """Filters of identities."""

    accountId: IgId | None = described("Only of this professional account ID.", default=None)
    state: IdentityState | None = described("Only identities in this state.", default=None)
    reason: LookupReason | None = described("Only identities with this reason.", default=None)
    q: Search = described(
        "Beginnings of words of a username or name, or an ID: the newest 500 contacts that match.", default=""
    )


class DeadLetterFilter(Sent):
    """Filters of dead letters."""

    reason: str | None = described(
        "Only with this reason, as the list returns it.", "unknown_account", default=None, max_length=32
    )
    accountId: IgId | None = described("Only of this professional account ID.", default=None)


class DeadLettersQuery(DeadLetterFilter, Paged):
    """Filters of dead letters, and pagination."""


class ReplayQuery(DeadLetterFilter):
    """Which dead letters to replay."""

    cursor: Cursor | None = described("`nextCursor` of the previous response with the same filters.", default=None)


class InsightsQuery(Sent):
    """Account and period of figures."""

    accountId: IgId | None = described("Only of this professional account ID; without it, all accounts.", default=None)
    period: Literal["day", "week", "month"] = described("24 hours, 7 days or 30 days up to now.", default="month")


class ExportQuery(Sent):
    """Format of an export."""

    format: Literal["csv", "jsonl"] = described(
        "CSV for spreadsheets (a tab before each ID keeps it whole in Excel), or one JSON object per line.",
        default="csv",
    )


class BackfillRequest(Sent):
    """The account whose unknown contacts to look up."""

    accountId: IgId = described("The professional account ID.", AN_ACCOUNT)
    batchSize: int = described("Contacts looked up per step.", 10, default=10, ge=1, le=100)


class PlanQuery(Sent):
    """The account to plan for."""

    accountId: IgId = described("The professional account ID.", AN_ACCOUNT)


class SelectedRefreshRequest(Sent):
    """The identities to look up again: a filter of the list, or their IDs."""

    accountId: IgId = described("The professional account ID.", AN_ACCOUNT)
    state: IdentityState | None = described("Only identities in this state.", "stale", default=None)
    reason: LookupReason | None = described("Only identities with this reason.", default=None)
    q: Search = described("Part of a username, name or ID.", default="")
    identityIds: list[IgId] | None = described(
        "The IDs of the identities; the filter is then ignored.", ["7"], default=None, min_length=1, max_length=200
    )


class MayBeAbsent(Sent):
    """Base of request models whose body may be absent."""

    @model_validator(mode="before")
    @classmethod
    def _may_be_absent(cls, value: Any) -> Any:
        return {} if value is None else value


class RetryRequest(MayBeAbsent):
    """What to retry of a job."""

    reasons: list[JobItemReason] | None = described(
        "Only contacts that failed for one of these reasons; all without it.", ["timeout"], default=None, min_length=1
    )


class SwitchOnRequest(MayBeAbsent):
    """For which accounts to switch a schedule on."""

    accountId: IgId | None = described(
        "Only for this professional account ID; without it, for all accounts.", AN_ACCOUNT, default=None
    )


class SwitchOffRequest(SwitchOnRequest):
    """For which accounts to switch a schedule off, and why."""

    reason: str | None = described(
        "Shown to users next to the name of the API token.", "Audit until Friday", default=None, max_length=200
    )


class LocationQuery(Sent):
    """Location or account of a job."""

    locationId: IgId = described("The account's location, or its professional account ID.", "paris-1")


class RecentRequest(LocationQuery):
    """Location or account of a job, and its period."""

    days: int = described("Only contacts who wrote within this many days.", default=7, ge=1, le=90)


class Waiting(BaseModel):
    """Header that asks to wait for the result."""

    model_config = ConfigDict(json_schema_extra=untitled)

    prefer: str = described(
        "`wait=N` waits up to N seconds (25 at most) for the job to end, and then returns its result with status 200.",
        default="",
        alias="Prefer",
    )
