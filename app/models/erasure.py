"""Tables of deleted data, and of requests to delete it."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.db.engine import Model
from app.db.types import Digest, EnumText, Id, IgId, UTCDateTime


class Tombstone(Model):
    """A contact of an account was deleted at `at`. The contact's ID is stored as a digest only.

    `until` is the newest of Meta's times that the deletion covers: Nametag's clock may have been wrong.
    """

    __tablename__ = "tombstones"
    __table_args__ = (UniqueConstraint("account_id", "contact_digest"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    contact_digest: Mapped[bytes] = mapped_column(Digest)
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    until: Mapped[datetime | None] = mapped_column(UTCDateTime)


class DeletedEvent(Model):
    """The digest of a message or dead letter that was deleted with its contact: a repeated delivery is ignored."""

    __tablename__ = "deleted_events"
    __table_args__ = (UniqueConstraint("digest", "account_id"), Index("ix_deleted_events_at", "at"))

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"))
    digest: Mapped[bytes] = mapped_column(Digest)
    at: Mapped[datetime] = mapped_column(UTCDateTime)


class RequestKind(StrEnum):
    """What an account owner requests through Meta."""

    DELETION = "deletion"
    DEAUTHORIZATION = "deauthorization"


class Outcome(StrEnum):
    """How the request of an account owner ended."""

    DONE = "done"
    NOTHING_FOUND = "nothing_found"


class OwnerRequest(Model):
    """A request of an account owner that Meta passed on: delete the data, or withdraw the app's access.

    `account_id` is the matching account while its deletion runs. Open requests match no account and keep the owner's
    app-scoped `user_id`, until an account matches or an admin closes them. A finished request keeps no `user_id`.
    """

    __tablename__ = "owner_requests"
    __table_args__ = (UniqueConstraint("digest"),)

    code: Mapped[str] = mapped_column(String(32), primary_key=True)
    digest: Mapped[bytes] = mapped_column(Digest)
    kind: Mapped[RequestKind] = mapped_column(
        EnumText(RequestKind), default=RequestKind.DELETION, server_default=RequestKind.DELETION.value
    )
    user_id: Mapped[str | None] = mapped_column(IgId)
    account_id: Mapped[int | None] = mapped_column(Id)
    requested_at: Mapped[datetime] = mapped_column(UTCDateTime)
    done_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    outcome: Mapped[Outcome | None] = mapped_column(EnumText(Outcome))
