"""Delete an account from its own contacts, when it is learned late that an ID that wrote is one of its own."""

from collections.abc import Collection

import sqlalchemy as sa

from app.db.transaction import Tx
from app.models.conversation import Conversation
from app.models.identity import Identity


def delete_self_contacts(tx: Tx, account_id: int, own_ids: Collection[str]) -> None:
    """Delete conversations and identities, with pictures and username history, under an account's own IDs."""
    for model in (Conversation, Identity):
        tx.execute(sa.delete(model).where(model.is_one_of(account_id, own_ids)))
