"""Searches that a user pinned: a filter and what was typed, under a name, for any account."""

from dataclasses import dataclass

from sqlalchemy import delete, func, select, update

from app import text
from app.db import transaction
from app.db.engine import db
from app.db.transaction import Tx
from app.errors import Invalid, NotFound
from app.inbox import listing
from app.inbox.listing import ConversationFilter
from app.models.user import Pin, User
from app.viewer import Viewer

MOST_PINS = 8  # of one user
NAME_CHARACTERS = 40


@dataclass(frozen=True, slots=True)
class PinnedSearch:
    """A pinned search of the viewer."""

    id: int
    name: str
    filter: str
    q: str

    def url(self, ig_account_id: str) -> str:
        """Return the URL of its list in the inbox of an account."""
        return "/inbox" + listing.query_string(ConversationFilter(self.filter, self.q), ig_account_id)


def list_pins(viewer: Viewer) -> tuple[PinnedSearch, ...]:
    """Return the pinned searches of a user, in the order in which they were pinned."""
    found = select(Pin.id, Pin.name, Pin.filter, Pin.q).where(Pin.user_id == viewer.user_id).order_by(Pin.id)
    rows = db.session.execute(found).all()
    # A filter of a newer release is none that this one can show.
    return tuple(PinnedSearch(*row) for row in rows if row.filter in listing.FILTERS)


def pin_search(viewer: Viewer, name: str, want: ConversationFilter) -> None:
    """Pin a search under a name. Raises Invalid for a wrong name, without a search or filter, and beyond MOST_PINS."""
    name = _clean(name)
    if not want.q and want.filter not in listing.FILTERED:
        raise Invalid({"q": "Search or choose a filter first, then pin it."})
    with transaction.write() as tx:
        tx.execute(select(User.id).where(User.id == viewer.user_id).with_for_update())
        _require_free(tx, viewer, name)
        if tx.execute(select(func.count(Pin.id)).where(Pin.user_id == viewer.user_id)).scalar_one() >= MOST_PINS:
            raise Invalid({"name": f"You have {MOST_PINS} pinned searches. Remove one in Settings, then try again."})
        tx.execute(tx.insert(Pin).values(user_id=viewer.user_id, name=name, filter=want.filter, q=want.q))


def rename_pin(viewer: Viewer, pin_id: int, name: str) -> None:
    """Rename a pinned search of the viewer. Raises NotFound, and Invalid for a wrong name."""
    name = _clean(name)
    with transaction.write() as tx:
        tx.execute(select(User.id).where(User.id == viewer.user_id).with_for_update())
        _require_free(tx, viewer, name, but=pin_id)
        own = update(Pin).where(Pin.id == pin_id, Pin.user_id == viewer.user_id).values(name=name)
        if not tx.execute(own.returning(Pin.id)).first():
            raise NotFound("pinned search")


def remove_pin(viewer: Viewer, pin_id: int) -> None:
    """Remove a pinned search of the viewer, if there still is one."""
    with transaction.write() as tx:
        tx.execute(delete(Pin).where(Pin.id == pin_id, Pin.user_id == viewer.user_id))


def _clean(name: str) -> str:
    cleaned = text.clean_name(name, NAME_CHARACTERS + 1)
    if cleaned is None or len(cleaned) > NAME_CHARACTERS:
        raise Invalid({"name": f"A pinned search must have a name of 1 to {NAME_CHARACTERS} characters."})
    return cleaned


def _require_free(tx: Tx, viewer: Viewer, name: str, *, but: int | None = None) -> None:
    same = select(Pin.id).where(Pin.user_id == viewer.user_id, Pin.name == name, Pin.id != (but or 0))
    if tx.execute(same).first():
        raise Invalid({"name": f"You already have a pinned search “{name}”. Choose another name."})
