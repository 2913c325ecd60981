"""What programs send, as product.md 7 names it; anything more is refused."""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from app import text
from app.identities import listing
from app.identities.listing import State
from app.models.run import ItemState

PAGE, MOST = 50, 100
CURSOR_CHARACTERS = 1_000


def _plain(value: Any) -> Any:
    # Python reads "+5", " 5", "5_0" and "5.0" as numbers, too; the document promises digits (reliability.md S31).
    if isinstance(value, str) and not re.fullmatch("-?[0-9]+", value):
        raise PydanticCustomError("plain_number", "Input should be a whole number in plain digits")
    return value


Limit = Annotated[int, Field(ge=1, le=MOST, description="How many at most."), BeforeValidator(_plain)]
Cursor = Annotated[str, Field(max_length=CURSOR_CHARACTERS, description="The nextCursor of the page before.")]
Search = Annotated[str, Field(max_length=200, description="Part of a username, name or id.")]
IgAccountId = Annotated[str, Field(max_length=64, description="The professional account id.")]

Reason = Annotated[str, Field(json_schema_extra={"enum": [*listing.REASONS]})]


class Sent(BaseModel):
    """Base of everything that is sent."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    @field_validator("*", mode="before")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        return text.storable(value) if isinstance(value, str) else value


class ById(Sent):
    """The id in an address."""

    id: str = Field(max_length=64)


class PictureOf(Sent):
    """Whose picture."""

    accountId: IgAccountId
    participantId: str = Field(max_length=64, description="The participantPlatformId.")


class PictureAsked(Sent):
    """Which version, as participantProfilePic says."""

    v: str | None = Field(None, max_length=16)


class Paged(Sent):
    """A page of a list."""

    limit: Limit = PAGE
    cursor: Cursor | None = None


class ConversationsAsked(Paged):
    """Which conversations."""

    accountId: IgAccountId | None = None
    status: str | None = Field(None, max_length=16)
    unread: bool = False
    unknown: bool = False
    q: Search = ""


class ItemsAsked(Paged):
    """Which people of a job."""

    state: ItemState | None = None


class IdentitiesAsked(Paged):
    """Which identities."""

    accountId: IgAccountId | None = None
    state: State | None = None
    reason: Reason | None = None
    q: Search = ""


class ExportAsked(Sent):
    """In which format."""

    format: Literal["csv", "jsonl"] = "csv"


class BackfillAsked(Sent):
    """Whose names to find."""

    accountId: IgAccountId
    batchSize: int = Field(10, ge=1, le=100)


class LocationAsked(Sent):
    """Which location, or account."""

    locationId: str = Field(max_length=64)


class RecentAsked(LocationAsked):
    """Which location, and of how many days."""

    days: int = Field(7, ge=1, le=90)
