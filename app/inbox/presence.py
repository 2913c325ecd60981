"""Presence: which users have a conversation open in a visible tab. Only in Redis, without which nobody is present."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from app import clock, redis_client
from app.db.engine import db
from app.models.user import User
from app.redis_client import RedisUnavailable
from app.text import ROW_NUMBER
from app.viewer import Viewer

PRESENT_SECONDS = 25  # after the last poll; together with the other user's own poll of 15 s at most 40
NAMED = 2  # users; more are counted


@dataclass(frozen=True, slots=True)
class Present:
    """Other users who are present: the email addresses of the first ones, and how many more there are."""

    emails: tuple[str, ...]
    more: int


def report(viewer: Viewer, conversation_id: int, *, visible: bool) -> tuple[int, ...]:
    """Report that the viewer has a conversation open, if its tab is visible; return the IDs of the others who have."""
    now, present, own = clock.now().timestamp(), _present(conversation_id), _own(viewer)
    try:
        with redis_client.client().pipeline() as commands:
            if visible and viewer.user_id is not None:
                commands.zadd(present, {str(viewer.user_id): now + PRESENT_SECONDS})
                commands.sadd(own, conversation_id)
                for key in (present, own):
                    commands.expire(key, PRESENT_SECONDS)
            commands.zremrangebyscore(present, "-inf", now)
            commands.zrange(present, 0, -1)
            users = set(_numbers(commands.execute()[-1]))
    except RedisUnavailable:
        return ()
    return tuple(sorted(users - {viewer.user_id}))


def leave(viewer: Viewer, conversation_id: int) -> None:
    """Report that the viewer has left a conversation."""
    try:
        with redis_client.client().pipeline() as commands:
            commands.zrem(_present(conversation_id), str(viewer.user_id))
            commands.srem(_own(viewer), conversation_id)
            commands.execute()
    except RedisUnavailable:
        return  # the entry expires


def leave_all(viewer: Viewer) -> None:
    """Report that the viewer has left every conversation: they signed out."""
    try:
        for conversation_id in _numbers(redis_client.client().smembers(_own(viewer))):
            leave(viewer, conversation_id)
    except RedisUnavailable:
        return


def get_present(user_ids: tuple[int, ...]) -> Present:
    """Return who these users are, for the head of a conversation."""
    named = user_ids[:NAMED]
    if not named:
        return Present((), 0)
    emails = db.session.scalars(select(User.email).where(User.id.in_(named)).order_by(User.id)).all()
    return Present(tuple(emails), len(user_ids) - len(named))


def _numbers(members: Iterable[Any]) -> Iterator[int]:
    return (int(each) for each in members if ROW_NUMBER.fullmatch(str(each, "ascii", "replace")))


def _present(conversation_id: int) -> str:
    return f"nametag:present:{conversation_id}"


def _own(viewer: Viewer) -> str:
    return f"nametag:present:user:{viewer.user_id}"
