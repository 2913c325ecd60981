"""Deleting for good: everything of a person, everything of an account; rows, cache and raw copies alike."""

import logging
from datetime import timedelta

from sqlalchemy import delete, func, or_, select, update

from app import audit, clock
from app.db import transaction
from app.db.engine import db
from app.db.transaction import Tx
from app.errors import NotFound
from app.identities import cache, forgotten
from app.models.identity import Identity, IdentityChange, Lookup, StoredAvatar
from app.models.inbox import Account, AccountState, Conversation, DeadLetter, Deletion, Message, WaitingEffect
from app.models.run import Run, RunItem
from app.models.user import Action
from app.viewer import Role, Viewer

logger = logging.getLogger(__name__)

LATELY = timedelta(minutes=2)
CHUNK = 5_000  # messages a transaction, so that other writers get their turn between


def person(viewer: Viewer, conversation_id: int) -> None:
    """Delete everything of the person of a conversation: messages, names, cache, raw copies, traces in jobs.

    What is older than now stays away, whoever delivers it again; what they write later begins a new conversation.
    For admins. Raises NotFound, also for what the viewer may not see.
    """
    viewer.require(Role.ADMIN)
    found = select(Conversation.account_id, Conversation.ig_participant_id, Account.ig_account_id)
    row = db.session.execute(
        found.join(Account, Account.id == Conversation.account_id).where(Conversation.id == conversation_id)
    ).first()
    if row is None or (viewer.account_ids is not None and row.account_id not in viewer.account_ids):
        raise NotFound("conversation")
    with transaction.write() as tx:
        _traces(tx, row.account_id, row.ig_participant_id)
        forgotten.bury(tx, row.account_id, row.ig_participant_id, at=clock.now())
        tx.execute(delete(Conversation).where(Conversation.id == conversation_id))
        pseudonym = audit.pseudonym(row.ig_account_id, row.ig_participant_id)
        audit.note(tx, viewer, Action.PERSON_DELETED, pseudonym, account_id=row.account_id)
        tx.touch(row.account_id)
    cache.forget(row.ig_account_id, row.ig_participant_id)
    logger.info("a person's data was deleted", extra={"account": row.account_id, "by": viewer.user_id})


def accounts() -> None:
    """Delete the accounts that were removed or whose holders asked for it, a chunk at a time, and note it."""
    asked = db.session.scalars(select(Deletion.code).where(Deletion.done_at.is_(None))).all()
    for account_id in db.session.scalars(select(Account.id).where(Account.state == AccountState.DELETING)).all():
        _account(account_id)
    for code in asked:
        with transaction.write() as tx:
            tx.execute(update(Deletion).where(Deletion.code == code).values(done_at=clock.now(), account_id=None))


def lately() -> bool:
    """Return whether somebody, or an account, was deleted in the last two minutes."""
    last = (forgotten.last(), db.session.execute(select(func.max(Deletion.done_at))).scalar())
    return any(at is not None and at > clock.now() - LATELY for at in last)


def _account(account_id: int) -> None:
    row = db.session.execute(
        select(Account.ig_account_id).where(Account.id == account_id, Account.state == AccountState.DELETING)
    ).first()
    if row is None:
        return
    people = db.session.scalars(select(Identity.ig_participant_id).where(Identity.account_id == account_id)).all()
    for ig_participant_id in people:
        cache.forget(row.ig_account_id, ig_participant_id)
    oldest = select(Message.id).where(Message.account_id == account_id).limit(CHUNK)
    deleted = CHUNK
    while deleted == CHUNK:
        with transaction.write() as tx:
            deleted = tx.execute(delete(Message).where(Message.id.in_(oldest))).rowcount
    with transaction.write() as tx:
        tx.execute(delete(DeadLetter).where(DeadLetter.ig_account_id == row.ig_account_id))
        tx.execute(delete(Account).where(Account.id == account_id))
        tx.touch(account_id)
    logger.warning("an account was deleted", extra={"account": account_id})


def _traces(tx: Tx, account_id: int, ig_participant_id: str) -> None:
    of_person = (Identity.account_id == account_id, Identity.ig_participant_id == ig_participant_id)
    tx.execute(delete(Identity).where(*of_person))
    pictured = (StoredAvatar.account_id == account_id, StoredAvatar.ig_participant_id == ig_participant_id)
    tx.execute(delete(StoredAvatar).where(*pictured))
    renamed = (IdentityChange.account_id == account_id, IdentityChange.ig_participant_id == ig_participant_id)
    tx.execute(delete(IdentityChange).where(*renamed))
    looked_up = update(Lookup).where(Lookup.account_id == account_id, Lookup.ig_participant_id == ig_participant_id)
    tx.execute(looked_up.values(ig_participant_id=None, answer=None))
    runs = select(Run.id).where(Run.account_id == account_id)
    tx.execute(delete(RunItem).where(RunItem.run_id.in_(runs), RunItem.ig_participant_id == ig_participant_id))
    placed = or_(DeadLetter.account_id == account_id, DeadLetter.account_id.is_(None))
    letters = tx.execute(select(DeadLetter.id, DeadLetter.raw).where(placed))
    named = [row.id for row in letters if ig_participant_id.encode() in row.raw]
    tx.execute(delete(DeadLetter).where(DeadLetter.id.in_(named)))
    effects = tx.execute(select(WaitingEffect.id, WaitingEffect.effect).where(WaitingEffect.account_id == account_id))
    theirs = [row.id for row in effects if row.effect.get("ig_sender_id") == ig_participant_id]
    tx.execute(delete(WaitingEffect).where(WaitingEffect.id.in_(theirs)))
