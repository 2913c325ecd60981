"""What has been read: by the team, in `conversations`, and what only some users have read, in `unread_by_user`.

A new message changes the team's counts only. When someone reads, the messages become unread for each of the others.
Every function locks the conversation before it counts, so that reading, unsends and replies do not disturb each other.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Integer,
    and_,
    case,
    delete,
    func,
    literal,
    or_,
    select,
    update,
)

from app import clock
from app.db.transaction import Tx
from app.db.types import UTCDateTime
from app.errors import Forbidden
from app.instagram.events import EventKind
from app.models.conversation import Conversation, Message, UnreadByUser
from app.models.user import User
from app.viewer import Viewer

KEPT = timedelta(days=30)  # what others read longer ago is read for everyone

# For queries that join `unread_by_user` with `is_own`: the viewer's own count and position.
UNREAD_COUNT = (Conversation.unread_count + func.coalesce(UnreadByUser.unread_count, 0, type_=Integer)).label(
    "unread_count"
)
READ_THROUGH = func.coalesce(UnreadByUser.read_through, Conversation.read_through, type_=Integer).label("read_through")
UNREAD_BY_ALL = Conversation.unread_count.label("unread_by_all")


def is_own(viewer: Viewer) -> ColumnElement[bool]:
    """Return the condition that joins the viewer's row to its conversation.

    Only users have rows: for an API token, what is unread for the team is unread.
    """
    return is_of_user(viewer.user_id)


def is_of_user(user_id: int | BindParameter[int] | None) -> ColumnElement[bool]:
    """Return what `is_own` does for the ID of a user, also for a parameter of a statement that is built once."""
    return and_(UnreadByUser.conversation_id == Conversation.id, UnreadByUser.user_id == user_id)


def mark_read(tx: Tx, viewer: Viewer, shown: Mapping[int, int | None]) -> int:
    """Mark the first messages of the contact as read: how many for each conversation ID, None for all of them.

    What nobody had read becomes unread for the other users. Return the number of these conversations that the viewer
    may see.
    """
    locked = _lock(tx, viewer, shown)
    own = _own(tx, viewer, locked)
    for known in locked:
        arrivals = shown[known.id]
        through = known.arrival_count if arrivals is None else min(arrivals, known.arrival_count)
        if through >= known.read_through:
            _read_for_team(tx, viewer, known, through)
            tx.execute(delete(UnreadByUser).where(*_row(known.id, viewer.user_id)))
        elif known.id in own:  # others have read further
            through = max(through, own[known.id].read_through)
            _set_own(tx, viewer, known, through, _count(tx, known.id, through, known.read_through))
    return len(locked)


def mark_unread(tx: Tx, viewer: Viewer, shown: Mapping[int, int | None]) -> int:
    """Mark conversations as unread for the viewer, a user: messages after the given number, None for the mark alone.

    Return the number of these conversations that the viewer may see. Raises Forbidden for an API token.
    """
    if viewer.user_id is None:
        raise Forbidden("Only users can mark conversations as unread.")
    locked = _lock(tx, viewer, shown)
    own = _own(tx, viewer, locked)
    for known in locked:
        present = own[known.id].read_through if known.id in own else known.read_through
        through = shown[known.id]
        if through is not None and through < present:
            count = _count(tx, known.id, through, known.read_through)
            if count:
                _set_own(tx, viewer, known, through, count)
                continue
        if not known.unread_count and known.id not in own:
            _set_own(tx, viewer, known, known.read_through, 1)
    return len(locked)


def unsend(tx: Tx, conversation_id: int, arrival: int) -> None:
    """Remove an unsent message from the counts of everyone who has not read it; `arrival` is its number."""
    counted = case((Conversation.read_through < arrival, 1), else_=0)
    team = update(Conversation).where(Conversation.id == conversation_id)
    team = team.values(unread_count=Conversation.unread_count - counted)
    if tx.execute(team.returning(Conversation.read_through)).scalar_one() < arrival:
        return
    of_conversation = UnreadByUser.conversation_id == conversation_id
    behind = update(UnreadByUser).where(of_conversation, UnreadByUser.read_through < arrival)
    tx.execute(behind.values(unread_count=UnreadByUser.unread_count - 1))
    tx.execute(delete(UnreadByUser).where(of_conversation, UnreadByUser.unread_count <= 0))


def mark_answered(tx: Tx, conversation_id: int, answered_at: datetime) -> None:
    """Mark messages as read that arrived before an answer of the team and were sent until then (aware UTC).

    For the team and for each user, the first later message ends them; it stays unread, as do those that arrived after
    it. An answer ends the marks of users. The caller has locked the conversation.
    """
    of_conversation = UnreadByUser.conversation_id == conversation_id
    found = select(
        *(Conversation.arrival_count, Conversation.read_through, Conversation.unread_count),
        UnreadByUser.read_through.label("own"),
    )
    found = found.outerjoin(UnreadByUser, of_conversation).where(Conversation.id == conversation_id)
    known = (rows := tx.execute(found).all())[0]
    through = known.read_through
    if known.unread_count:
        through = _answered_through(tx, conversation_id, known.read_through, known.arrival_count, answered_at)
        left = _count(tx, conversation_id, through, known.arrival_count)
        team = update(Conversation).where(Conversation.id == conversation_id)
        tx.execute(team.values(read_through=through, unread_count=left))
    for own in sorted({row.own for row in rows if row.own is not None}):
        reached = _answered_through(tx, conversation_id, own, through, answered_at)
        behind = and_(of_conversation, UnreadByUser.read_through == own)
        if left := _count(tx, conversation_id, reached, through):
            tx.execute(update(UnreadByUser).where(behind).values(read_through=reached, unread_count=left))
        else:
            tx.execute(delete(UnreadByUser).where(behind))


def _answered_through(tx: Tx, conversation_id: int, after: int, through: int, answered_at: datetime) -> int:
    """Return the number before the first message after `after` that was sent after the answer, at most `through`."""
    later = select(func.min(Message.arrival)).where(
        *(Message.conversation_id == conversation_id, Message.arrival > after, Message.arrival <= through),
        *(Message.sent_at > answered_at, Message.kind != EventKind.UNSENT),
    )
    first: int | None = tx.execute(later).scalar()
    return through if first is None else first - 1


def purge(tx: Tx, now: datetime) -> int:
    """Delete rows of disabled users, and those that have not changed for 30 days. Return their number."""
    disabled = UnreadByUser.user_id.in_(select(User.id).where(User.disabled_at.is_not(None)))
    gone = delete(UnreadByUser).where(or_(UnreadByUser.changed_at < now - KEPT, disabled))
    accounts = tx.execute(gone.returning(UnreadByUser.account_id)).scalars().all()
    for account_id in set(accounts):
        tx.mark_changed(account_id)
    return len(accounts)


def _lock(tx: Tx, viewer: Viewer, conversation_ids: Collection[int]) -> Sequence[Any]:
    # In the order of deliveries, so that no two transactions wait for each other.
    found = select(
        *(Conversation.id, Conversation.account_id, Conversation.ig_participant_id),
        *(Conversation.arrival_count, Conversation.read_through, Conversation.unread_count),
    )
    found = viewer.visible(found.where(Conversation.id.in_(conversation_ids)), Conversation.account_id)
    in_order = found.order_by(Conversation.account_id, Conversation.ig_participant_id)
    locked = tx.execute(in_order.with_for_update()).all()
    for known in locked:
        tx.mark_changed(known.account_id, known.ig_participant_id)
    return locked


def _own(tx: Tx, viewer: Viewer, locked: Sequence[Any]) -> dict[int, Any]:
    # After locking, in a statement of its own: in a join PostgreSQL would return the row from before the wait.
    found = select(UnreadByUser.conversation_id, UnreadByUser.read_through).where(
        UnreadByUser.user_id == viewer.user_id, UnreadByUser.conversation_id.in_([known.id for known in locked])
    )
    return {row.conversation_id: row for row in tx.execute(found)}


def _row(conversation_id: int, user_id: int | None) -> tuple[ColumnElement[bool], ...]:
    return UnreadByUser.conversation_id == conversation_id, UnreadByUser.user_id == user_id


def _set_own(tx: Tx, viewer: Viewer, known: Any, read_through: int, unread_count: int) -> None:
    tx.execute(delete(UnreadByUser).where(*_row(known.id, viewer.user_id)))
    if unread_count:
        _insert(tx, known, [viewer.user_id], read_through, unread_count)


def _read_for_team(tx: Tx, viewer: Viewer, known: Any, through: int) -> None:
    left = _count(tx, known.id, through, known.arrival_count)
    team = update(Conversation).where(Conversation.id == known.id)
    tx.execute(team.values(read_through=through, unread_count=left))
    newly_read = known.unread_count - left
    if newly_read <= 0:
        return
    # Also rows of users who may not see the account now: each row counts everything that others read after it.
    others = (UnreadByUser.conversation_id == known.id, UnreadByUser.user_id != (viewer.user_id or 0))
    added = {"unread_count": UnreadByUser.unread_count + newly_read, "changed_at": clock.now()}
    tx.execute(update(UnreadByUser).where(*others).values(**added))
    audience = [user_id for user_id in _audience(tx, known.account_id) if user_id != viewer.user_id]
    _insert(tx, known, audience, known.read_through, newly_read)


def _insert(tx: Tx, known: Any, user_ids: Sequence[int | None], read_through: int, unread_count: int) -> None:
    numbers = (known.id, known.account_id, read_through, unread_count)
    row = select(User.id, *(literal(number, BigInteger) for number in numbers), literal(clock.now(), UTCDateTime))
    columns = ["user_id", "conversation_id", "account_id", "read_through", "unread_count", "changed_at"]
    insert = tx.insert(UnreadByUser).from_select(columns, row.where(User.id.in_(user_ids)))
    tx.execute(insert.on_conflict_do_nothing())


def _audience(tx: Tx, account_id: int) -> list[int]:
    """Return the users who have signed in lately and may see an account."""
    active = and_(User.disabled_at.is_(None), User.last_sign_in_at >= clock.now() - KEPT)
    users = tx.execute(select(User.id, User.account_ids).where(active).order_by(User.id))
    return [row.id for row in users if row.account_ids is None or account_id in row.account_ids]


def _count(tx: Tx, conversation_id: int, after: int, through: int) -> int:
    """Return how many messages counted as unread with a number after `after`, up to `through`, without unsent ones."""
    if after >= through:
        return 0
    found = select(func.count()).select_from(Message).where(Message.conversation_id == conversation_id)
    found = found.where(Message.arrival > after, Message.arrival <= through, Message.kind != EventKind.UNSENT)
    return int(tx.execute(found).scalar_one())
