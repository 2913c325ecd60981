"""The parties of a conversation: what a request must know before it gets the change token of its thread."""

from sqlalchemy import bindparam, select

from app.db.prepared import Prepared
from app.errors import NotFound
from app.models.conversation import Conversation
from app.viewer import Viewer

_PARTIES = Prepared(
    lambda _: select(Conversation.account_id, Conversation.ig_participant_id).where(
        Conversation.id == bindparam("conversation_id")
    )
)


def get_parties(viewer: Viewer, conversation_id: int) -> tuple[int, str]:
    """Return the account's internal ID and the contact's ID of a conversation; raises NotFound, also without access."""
    found = _PARTIES.read(conversation_id=conversation_id)
    if not found or not viewer.sees(found[0].account_id):
        raise NotFound("conversation")
    return found[0].account_id, found[0].ig_participant_id
