"""Find contacts of all visible accounts by username, name or ID, with their conversations."""

from dataclasses import dataclass

from app.identities import listing
from app.identities.display import Avatar, DisplayName
from app.inbox import search
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
    ids = search.conversation_ids((row.account_id, row.ig_participant_id) for row in rows)
    return tuple(
        FoundContact(
            row.id, row.ig_account_id, row.display, row.avatar, ids.get((row.account_id, row.ig_participant_id))
        )
        for row in rows
    )
