"""What API clients send; anything else is refused."""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from app import text
from app.api.fields import IdentityState, JobItemState, LookupReason, said, untitled

PAGE, MOST = 50, 100
CURSOR_CHARACTERS = 1_000


def _plain(value: Any) -> Any:
    # Python reads "+5", " 5", "5_0" and "5.0" as numbers, too; the document promises digits (reliability.md S31).
    if isinstance(value, str) and not re.fullmatch("-?[0-9]+", value):
        raise PydanticCustomError("plain_number", "Input should be a whole number in plain digits")
    return value


Limit = Annotated[int, Field(ge=1, le=MOST), BeforeValidator(_plain)]
Cursor = Annotated[str, Field(max_length=CURSOR_CHARACTERS)]
Search = Annotated[str, Field(max_length=200)]
IgId = Annotated[str, Field(max_length=64)]
AN_ACCOUNT = "17841400000000101"


class Sent(BaseModel):
    """Base of everything that is sent."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True, json_schema_extra=untitled)

    @field_validator("*", mode="before")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        return text.storable(value) if isinstance(value, str) else value


class ById(Sent):
    """The ID in a path."""

    id: IgId = said("The ID, as lists return it.")


class PictureOf(Sent):
    """Whose picture."""

    accountId: IgId = said("The professional account ID.")
    participantId: IgId = said("The contact's ID, `participantPlatformId`.")


class PictureQuery(Sent):
    """Which version, as participantProfilePic says."""

    v: str | None = said("The picture's version; it changes with the picture.", default=None, max_length=16)


class Paged(Sent):
    """A page of a list."""

    limit: Limit = said("Entries per page at most.", default=PAGE)
    cursor: Cursor | None = said("The `nextCursor` of the previous page, with the same filters.", default=None)


class ConversationsQuery(Paged):
    """Which conversations."""

    accountId: IgId | None = said("Only of this professional account ID.", default=None)
    status: str | None = said("Only with this status.", default=None, max_length=16)
    unread: bool = said("Only with unread messages.", default=False)
    unknown: bool = said("Only with unknown contacts.", default=False)
    q: Search = said("Part of a contact's username, name or ID.", default="")


class ItemsQuery(Paged):
    """Which contacts of a job."""

    state: JobItemState | None = said("Only contacts in this state.", default=None)


class IdentitiesQuery(Paged):
    """Which identities."""

    accountId: IgId | None = said("Only of this professional account ID.", default=None)
    state: IdentityState | None = said("Only identities in this state.", default=None)
    reason: LookupReason | None = said("Only identities with this reason.", default=None)
    q: Search = said("Part of a username, name or ID.", default="")


class ExportQuery(Sent):
    """In which format."""

    format: Literal["csv", "jsonl"] = said(
        "CSV for spreadsheets (a tab before each ID keeps it whole in Excel), or one JSON object per line.",
        default="csv",
    )


class BackfillRequest(Sent):
    """The account whose unknown contacts to look up."""

    accountId: IgId = said("The professional account ID.", AN_ACCOUNT)
    batchSize: int = said("Contacts looked up per step.", 10, default=10, ge=1, le=100)


class LocationQuery(Sent):
    """Which location, or account."""

    locationId: IgId = said("The account's location, or its professional account ID.", "paris-1")


class RecentRequest(LocationQuery):
    """Which location, and of how many days."""

    days: int = said("Only contacts who wrote within this many days.", default=7, ge=1, le=90)


class Waiting(BaseModel):
    """How long the request may wait for the result."""

    model_config = ConfigDict(json_schema_extra=untitled)

    prefer: str = said(
        "`wait=N` waits up to N seconds (25 at most) for the job to end, and then returns its result with status 200.",
        default="",
        alias="Prefer",
    )
