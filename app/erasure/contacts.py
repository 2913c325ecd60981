"""Delete all data of a contact: messages, identity, picture, cache, dead letters, traces in jobs and API calls."""

import logging
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import String, cast, delete, func, literal, select, update

from app import clock, tombstones
from app.db import transaction
from app.db.engine import db
from app.db.transaction import Tx
from app.db.types import UTCDateTime
from app.erasure import contact_data, receipts
from app.erasure.contact_data import DEAD_LETTERS, ITEMS, MESSAGES, PINS, Contact, DataPart, get_contact, of_contact
from app.errors import NotFound
from app.identities import cache
from app.identities.reasons import DELETED
from app.ingest import pending_updates
from app.models.account import ALL_IDS, Account, all_ids
from app.models.call import ApiCall
from app.models.conversation import Conversation, Message
from app.models.erasure import DeletedEvent
from app.models.identity import Identity
from app.models.ingest import DeadLetter
from app.models.run import DELETED_CONTACT, ItemState, Run, RunItem
from app.models.user import Pin
from app.viewer import Role, Viewer

logger = logging.getLogger(__name__)


def delete_contact(viewer: Viewer, conversation_id: int) -> int:
    """Delete all data of the contact of a conversation, as `delete_identity` does, and return the receipt's ID."""
    viewer.require(Role.ADMIN)
    found = select(Conversation.account_id, Conversation.ig_participant_id, *ALL_IDS)
    row = db.session.execute(
        found.join(Account, Account.id == Conversation.account_id).where(Conversation.id == conversation_id)
    ).first()
    if row is None or not viewer.sees(row.account_id):
        raise NotFound("conversation")
    return _delete(viewer, Contact(row.account_id, row.ig_account_id, row.ig_participant_id, all_ids(row)))


def delete_identity(viewer: Viewer, identity_id: int) -> int:
    """Delete all data of a contact by the ID of its identity, leave a tombstone, and return the receipt's ID.

    Messages up to now are never stored again. What the contact writes later starts a new conversation. For admins.
    Raises NotFound, also for a contact that the viewer may not see.
    """
    return _delete(viewer, get_contact(viewer, identity_id)[0])


def _delete(viewer: Viewer, contact: Contact) -> int:
    cached = not cache.delete(contact.ig_account_id, contact.ig_participant_id)
    with transaction.write() as tx:
        _lock(tx, contact)
        until = _covered_until(tx, contact)
        counts = delete_data(tx, contact)
        if not any(counts.values()):
            raise NotFound("contact")  # another user deleted it at the same moment
        tombstones.add(tx, contact.account_id, contact.ig_participant_id, at=clock.now(), until=until)
        receipt_id = receipts.write(tx, viewer, contact, counts, cached=cached)
        tx.mark_changed(contact.account_id)
    cache.delete(contact.ig_account_id, contact.ig_participant_id)  # again: a lookup may have cached its result
    logger.info("contact deleted", extra={"account": contact.account_id, "by": viewer.user_id, "receipt": receipt_id})
    return receipt_id


def _lock(tx: Tx, contact: Contact) -> None:
    for model in (Conversation, Identity):
        tx.execute(select(model.id).where(of_contact(model, contact)).with_for_update()).all()


def delete_data(tx: Tx, contact: Contact) -> dict[DataPart, int]:
    """Delete all data of a contact. Return how many rows there were. The caller adds the tombstone."""
    found = contact_data.find_rows(tx.execute, contact)  # dead letters name messages, pinned searches name the contact
    counts = contact_data.count(tx.execute, found)
    tx.execute(delete(Pin).where(found[PINS]))
    _delete_traces(tx, contact)
    _record_deleted(tx, contact, tx.execute(select(DeadLetter.digest).where(found[DEAD_LETTERS])).scalars())
    tx.execute(delete(DeadLetter).where(found[DEAD_LETTERS]))
    tx.execute(delete(Conversation).where(of_contact(Conversation, contact)))
    return counts


def _covered_until(tx: Tx, contact: Contact) -> datetime | None:
    """Return the newest of Meta's times in the account: our clock may be wrong, and must not cover later messages."""
    newest = select(func.max(Conversation.last_message_at)).where(Conversation.account_id == contact.account_id)
    times = select(Conversation.last_message_at, Conversation.seen_at, Conversation.last_reaction_at)
    found = (*(tx.execute(times.where(of_contact(Conversation, contact))).first() or ()), tx.execute(newest).scalar())
    return max((each for each in found if each is not None), default=None)


def _delete_traces(tx: Tx, contact: Contact) -> None:
    now = clock.now()
    messages = select(Message.account_id, Message.mid_digest, literal(now, UTCDateTime))
    deleted = tx.insert(DeletedEvent).from_select(
        ["account_id", "digest", "at"], messages.where(MESSAGES.find(tx.execute, contact))
    )
    tx.execute(deleted.on_conflict_do_nothing())
    pending = pending_updates.delete_of_contact(
        tx, contact.account_id, contact.ig_participant_id, contact.own_ids, at=now
    )
    _record_deleted(tx, contact, pending)
    # With their picture and username history, by foreign key.
    tx.execute(delete(Identity).where(of_contact(Identity, contact)))
    looked_up = update(ApiCall).where(of_contact(ApiCall, contact))
    tx.execute(looked_up.values(ig_participant_id=None, answer=None))
    _anonymize_items(tx, contact)


def _anonymize_items(tx: Tx, contact: Contact) -> None:
    """Remove the contact's ID from jobs. The items stay, so that a job's counts still add up to its total."""
    theirs = ITEMS.find(tx.execute, contact)
    with_open = select(RunItem.run_id).where(theirs, RunItem.state == ItemState.PENDING)
    tx.execute(update(Run).where(Run.id.in_(with_open)).values(skipped=Run.skipped + 1))
    open_ = update(RunItem).where(theirs, RunItem.state == ItemState.PENDING)
    tx.execute(open_.values(state=ItemState.SKIPPED, reason=DELETED, code=None, settled_at=clock.now()))
    deleted_contact = literal(DELETED_CONTACT).concat(cast(RunItem.position, String))
    tx.execute(update(RunItem).where(theirs).values(ig_participant_id=deleted_contact))


def _record_deleted(tx: Tx, contact: Contact, digests: Iterable[bytes]) -> None:
    rows = [{"account_id": contact.account_id, "digest": each, "at": clock.now()} for each in sorted(digests)]
    if rows:
        tx.execute(tx.insert(DeletedEvent).on_conflict_do_nothing(), rows)
