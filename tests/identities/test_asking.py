"""Somebody asks for people to be looked up again."""

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import select

from app import clock, queue
from app.db import transaction
from app.db.engine import db
from app.errors import Forbidden, NotFound
from app.identities import asking, sighting
from app.identities.verdict import STOP_AFTER, Verdict
from app.instagram.errors import Reason, Scope
from app.models.identity import Identity, Purpose
from app.viewer import OPERATOR, Role, Viewer
from tests.cast import CAMILLE, LEA, an_account, people_wrote

GONE = Verdict(Reason.NOT_VISIBLE, Scope.PERSON, "9010", "No matching Instagram user")
AGENT = Viewer(user_id=1, name="Nadia", role=Role.AGENT)
ELSEWHERE = Viewer(user_id=2, name="Oskar", role=Role.OPS, account_ids=frozenset({999}))


def identities() -> list[Identity]:
    db.session.rollback()
    return list(db.session.scalars(select(Identity).order_by(Identity.id)))


def test_who_was_given_up_is_next_in_line(app: Flask, redis: Redis) -> None:
    account = an_account()
    people_wrote(LEA, CAMILLE)
    with transaction.write() as tx:
        for _ in range(STOP_AFTER):
            sighting.failed(tx, account.id, LEA, GONE, at=clock.now(), raw=None)
    redis.flushall()
    assert asking.refresh_all(OPERATOR, [each.id for each in identities()]) == 2
    lea = identities()[0]
    assert (lea.failure_count, lea.last_error, lea.next_purpose) == (0, None, Purpose.ASKED)
    assert lea.next_try_at is not None
    assert redis.llen(f"rq:queue:{queue.TASKS[queue.RESOLVE].queue}") == 1


def test_agents_ask_for_nobody_and_nobody_for_strangers(app: Flask) -> None:
    an_account()
    people_wrote(LEA)
    [lea] = identities()
    with pytest.raises(Forbidden):
        asking.refresh(AGENT, lea.id)
    with pytest.raises(NotFound):
        asking.refresh(ELSEWHERE, lea.id)
    assert identities()[0].next_purpose is not Purpose.ASKED
