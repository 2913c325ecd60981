"""Find contacts of all visible accounts by username, name or ID, with their conversations."""

from dataclasses import dataclass

from sqlalchemy import and_, or_, select

from app.db.engine import db
from app.identities import listing
from app.identities.display import Avatar, DisplayName
from app.models.conversation import Conversation
from app.viewer import Viewer


@dataclass(frozen=True, slots=True)
class FoundContact:
    """A contact that matches a search; `conversation_id` is None without a message."""

    identity_id: int
    ig_account_id: str
    display: DisplayName
    avatar: Avatar
    conversation_id: int | None


def find_contacts(viewer: Viewer, q: str, *, limit: int) -> tuple[FoundContact, ...]:
    """Return the newest contacts that match `q`, none without a search. Raises Invalid for a term that is too long."""
    want = listing.parse_filter(q=q, limit=limit)
    rows = listing.page(viewer, want).rows if want.q else ()
    if not rows:
        return ()
    same = [
        and_(Conversation.account_id == row.account_id, Conversation.ig_participant_id == row.ig_participant_id)
        for row in rows
    ]
    found = select(Conversation.account_id, Conversation.ig_participant_id, Conversation.id).where(or_(*same))
    ids = {(account, contact): id_ for account, contact, id_ in db.session.execute(found)}
    return tuple(
        FoundContact(
            row.id, row.ig_account_id, row.display, row.avatar, ids.get((row.account_id, row.ig_participant_id))
        )
        for row in rows
    )
