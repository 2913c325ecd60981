"""Refreshing contacts at a user's request."""

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import select

from app import clock, queue, settings
from app.db import transaction
from app.db.engine import db
from app.errors import Forbidden, NotFound
from app.identities import manual_refresh, observations, resolve
from app.identities.failure_policy import STOP_AFTER, LookupFailure
from app.instagram.errors import Reason, Scope
from app.models.call import Purpose
from app.models.identity import Identity
from app.viewer import OPERATOR, Role, Viewer
from tests.calls.lookups import noted
from tests.factories import CAMILLE, LEA, RUI, a_sandbox_account, an_account, people_wrote
from tests.support.frozen_clock import FrozenClock
from tests.support.processes import Sandbox

GONE = LookupFailure(Reason.NOT_VISIBLE, Scope.CONTACT, "9010", "No matching Instagram user")
AGENT = Viewer(user_id=1, name="Nadia", role=Role.AGENT)
ELSEWHERE = Viewer(user_id=2, name="Oskar", role=Role.OPS, account_ids=frozenset({999}))


def identities() -> list[Identity]:
    db.session.rollback()
    return list(db.session.scalars(select(Identity).order_by(Identity.id)))


def test_who_was_given_up_is_next_in_line(app: Flask, redis: Redis, frozen_clock: FrozenClock) -> None:
    account = an_account()
    people_wrote(LEA, CAMILLE)
    with transaction.write() as tx:
        for _ in range(STOP_AFTER):
            observations.record_failure(tx, account.id, LEA, GONE, at=clock.now(), raw=None)
    redis.flushall()
    frozen_clock.forward(minutes=1)
    for each in identities():
        assert manual_refresh.refresh(OPERATOR, each.id) is None
    lea, camille = identities()
    assert (lea.failure_count, lea.last_error, lea.next_purpose) == (0, None, Purpose.REFRESH)
    assert camille.next_purpose is Purpose.ASKED
    assert lea.next_try_at is not None
    assert redis.llen(f"rq:queue:{queue.TASKS[queue.RESOLVE].queue}") == 1


def test_agents_refresh_no_contact_and_no_user_refreshes_contacts_without_access(app: Flask) -> None:
    an_account()
    people_wrote(LEA)
    [lea] = identities()
    with pytest.raises(Forbidden):
        manual_refresh.refresh(AGENT, lea.id)
    with pytest.raises(NotFound):
        manual_refresh.refresh(ELSEWHERE, lea.id)
    assert identities()[0].next_purpose is not Purpose.ASKED


def test_asking_again_and_again_waits_half_a_minute_and_leaves_the_reserve(
    meta: Sandbox, frozen_clock: FrozenClock, redis: Redis
) -> None:
    account = a_sandbox_account()
    people_wrote(LEA)
    with settings.using(graph_calls_per_hour=10):
        resolve.look_up_due(account.id)
        [lea] = identities()
        for _ in range(5):
            assert manual_refresh.refresh(OPERATOR, lea.id) == identities()[0].last_success_at
            resolve.look_up_due(account.id)
        assert len(noted()) == 1
        for _ in range(20):
            frozen_clock.forward(seconds=31)
            manual_refresh.refresh(OPERATOR, lea.id)
            resolve.look_up_due(account.id)
        assert len(noted()) == 8
        people_wrote(RUI)
        resolve.look_up_due(account.id)
        assert {row.username for row in identities()} == {"lea.moreau", "rui.costa"}


def test_a_lookup_of_the_future_does_not_refuse_the_next_one(app: Flask, frozen_clock: FrozenClock) -> None:
    account = an_account()
    people_wrote(LEA)
    with transaction.write() as tx:
        observations.record_failure(tx, account.id, LEA, GONE, at=clock.now(), raw=None)
    frozen_clock.forward(days=-2)
    assert manual_refresh.refresh(OPERATOR, identities()[0].id) is None
