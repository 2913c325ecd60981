"""Deleting for good: everything of a person, everything of an account; rows, cache and raw copies alike."""

import logging
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, func, literal, or_, select, update

from app import audit, clock
from app.db import transaction
from app.db.engine import db
from app.db.transaction import Tx
from app.db.types import UTCDateTime
from app.errors import NotFound
from app.identities import cache, forgotten
from app.ingest import owner_requests, pending_updates
from app.models.identity import Identity, IdentityChange, Lookup, StoredAvatar
from app.models.inbox import (
    ALL_IDS,
    Account,
    AccountState,
    Conversation,
    DeadLetter,
    DeletedEvent,
    Deletion,
    Message,
    Outcome,
    all_ids,
)
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
    found = select(Conversation.account_id, Conversation.ig_participant_id, *ALL_IDS)
    row = db.session.execute(
        found.join(Account, Account.id == Conversation.account_id).where(Conversation.id == conversation_id)
    ).first()
    if row is None or (viewer.account_ids is not None and row.account_id not in viewer.account_ids):
        raise NotFound("conversation")
    with transaction.write() as tx:
        contact = (row.account_id, row.ig_participant_id)
        until = _covered_until(tx, *contact)
        _traces(tx, *contact, own_ids=all_ids(row))
        forgotten.bury(tx, *contact, at=clock.now(), until=until)
        tx.execute(delete(Conversation).where(Conversation.id == conversation_id))
        pseudonym = audit.pseudonym(row.ig_account_id, row.ig_participant_id)
        audit.note(tx, viewer, Action.PERSON_DELETED, pseudonym, account_id=row.account_id)
        tx.mark_changed(row.account_id)
    cache.delete(row.ig_account_id, row.ig_participant_id)
    logger.info("a person's data was deleted", extra={"account": row.account_id, "by": viewer.user_id})


def accounts() -> None:
    """Delete the accounts that were removed or whose owners requested it, a chunk at a time, and note it."""
    owner_requests.carry_out()
    running = (Deletion.done_at.is_(None), Deletion.account_id.is_not(None))
    asked = db.session.scalars(select(Deletion.code).where(*running)).all()
    for account_id in db.session.scalars(select(Account.id).where(Account.state == AccountState.DELETING)).all():
        _account(account_id)
    for code in asked:
        with transaction.write() as tx:
            done = {"done_at": clock.now(), "outcome": Outcome.DONE, "account_id": None}
            tx.execute(update(Deletion).where(Deletion.code == code).values(**done))


def lately() -> bool:
    """Return whether somebody, or an account, was deleted in the last two minutes."""
    last = (forgotten.last(), db.session.execute(select(func.max(Deletion.done_at))).scalar())
    return any(at is not None and abs(clock.now() - at) < LATELY for at in last)


def _account(account_id: int) -> None:
    row = db.session.execute(
        select(Account.ig_account_id).where(Account.id == account_id, Account.state == AccountState.DELETING)
    ).first()
    if row is None:
        return
    people = db.session.scalars(select(Identity.ig_participant_id).where(Identity.account_id == account_id)).all()
    for ig_participant_id in people:
        cache.delete(row.ig_account_id, ig_participant_id)
    oldest = select(Message.id).where(Message.account_id == account_id).limit(CHUNK)
    deleted = CHUNK
    while deleted == CHUNK:
        with transaction.write() as tx:
            deleted = tx.execute(delete(Message).where(Message.id.in_(oldest))).rowcount
    with transaction.write() as tx:
        tx.execute(delete(DeadLetter).where(DeadLetter.ig_account_id == row.ig_account_id))
        tx.execute(delete(Account).where(Account.id == account_id))
        tx.mark_changed(account_id)
    for ig_participant_id in people:  # once more: a lookup that was under way may have cached a name
        cache.delete(row.ig_account_id, ig_participant_id)
    logger.warning("an account was deleted", extra={"account": account_id})


def _traces(tx: Tx, account_id: int, ig_participant_id: str, *, own_ids: Collection[str]) -> None:
    now = clock.now()
    messages = select(Message.account_id, Message.mid_digest, literal(now, UTCDateTime))
    deleted = tx.insert(DeletedEvent).from_select(
        ["account_id", "digest", "at"], messages.where(*_messages(account_id, ig_participant_id))
    )
    tx.execute(deleted.on_conflict_do_nothing())
    _note_deleted(tx, account_id, pending_updates.delete_of_contact(tx, account_id, ig_participant_id, own_ids, at=now))
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
    _dead_letters(tx, account_id, ig_participant_id)


def _dead_letters(tx: Tx, account_id: int, ig_participant_id: str) -> None:
    mids = set(tx.execute(select(Message.mid_digest).where(*_messages(account_id, ig_participant_id))).scalars())
    placed = or_(DeadLetter.account_id == account_id, DeadLetter.account_id.is_(None))
    letters = tx.execute(select(DeadLetter.id, DeadLetter.raw, DeadLetter.digest, DeadLetter.mid_digest).where(placed))
    theirs = [row for row in letters if ig_participant_id.encode() in row.raw or not mids.isdisjoint(_named(row))]
    _note_deleted(tx, account_id, {row.digest for row in theirs})
    tx.execute(delete(DeadLetter).where(DeadLetter.id.in_([row.id for row in theirs])))


def _named(letter: Any) -> set[bytes]:
    return {letter.mid_digest, *forgotten.mids(letter.raw)}


def _note_deleted(tx: Tx, account_id: int, digests: Iterable[bytes]) -> None:
    rows = [{"account_id": account_id, "digest": each, "at": clock.now()} for each in sorted(digests)]
    if rows:
        tx.execute(tx.insert(DeletedEvent).on_conflict_do_nothing(), rows)


def _messages(account_id: int, ig_participant_id: str) -> tuple[ColumnElement[bool], ...]:
    of_contact = (Conversation.account_id == account_id, Conversation.ig_participant_id == ig_participant_id)
    return (Message.conversation_id.in_(select(Conversation.id).where(*of_contact)),)


def _covered_until(tx: Tx, account_id: int, ig_participant_id: str) -> datetime | None:
    """Return the newest of Meta's times in the account: our clock may be wrong, and must not cover what comes next."""
    newest = select(func.max(Conversation.last_message_at)).where(Conversation.account_id == account_id)
    times = select(Conversation.last_message_at, Conversation.seen_at, Conversation.last_reaction_at)
    of_contact = (Conversation.account_id == account_id, Conversation.ig_participant_id == ig_participant_id)
    found = (*(tx.execute(times.where(*of_contact)).first() or ()), tx.execute(newest).scalar())
    return max((each for each in found if each is not None), default=None)
