"""Opening a conversation: shown immediately, refreshed in the background before all others."""

from datetime import timedelta

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import select

from app import clock, queue, tasks
from app.db import transaction
from app.db.engine import db
from app.identities import observations, refresh_on_open, resolve
from app.identities.observations import FRESH, ProfileObservation
from app.models.account import Account
from app.models.call import Purpose
from app.models.conversation import Conversation
from app.models.identity import Identity, Source
from tests.calls.lookups import noted
from tests.factories import CAMILLE, GHOST, LEA, RUI, SHY, a_sandbox_account, people_wrote
from tests.support.frozen_clock import FrozenClock
from tests.support.processes import Sandbox
from tests.web.browsing import signed_in

RESOLVE = f"rq:queue:{queue.TASKS[queue.OPENED].queue}"


@pytest.fixture
def account(meta: Sandbox) -> Account:
    return a_sandbox_account()


def identity(who: str = LEA) -> Identity:
    db.session.rollback()
    return db.session.scalars(select(Identity).where(Identity.ig_participant_id == who)).one()


def named(account: Account, who: str = LEA, *, ago: timedelta, picture_ends_in: timedelta | None = None) -> Identity:
    at = clock.now() - ago
    ends = int((at + picture_ends_in).timestamp()) if picture_ends_in else 0
    picture = f"https://scontent.cdninstagram.com/a.jpg?oe={ends:08X}" if ends else None
    with transaction.write() as tx:
        observations.record(tx, account.id, ProfileObservation(who, "somebody", None, picture, Source.PROFILE, at))
    return identity(who)


def test_a_stale_contact_is_refreshed_before_all_others(account: Account, redis: Redis) -> None:
    people_wrote(CAMILLE, RUI)
    stale = named(account, ago=FRESH + timedelta(hours=1))
    before = redis.llen(RESOLVE)
    refresh_on_open.enqueue_refresh(stale.id)
    refresh_on_open.enqueue_refresh(stale.id)
    assert redis.llen(RESOLVE) == before + 1
    assert identity().next_try_at is None
    tasks.opened(stale.id)
    assert next((row.ig_participant_id, row.purpose) for row in noted()) == (LEA, Purpose.ASKED)
    assert identity().username == "lea.moreau"
    assert len(noted()) == 3


def test_the_page_of_a_conversation_enqueues_the_refresh_and_changes_nothing(
    app: Flask, account: Account, redis: Redis
) -> None:
    people_wrote(LEA, RUI)
    named(account, ago=FRESH + timedelta(hours=1))
    named(account, RUI, ago=timedelta(days=1))
    browser = signed_in(app)
    redis.delete(RESOLVE)
    before = {who: vars(identity(who)) | {"_sa_instance_state": None} for who in (LEA, RUI)}
    for who, hints in ((RUI, 0), (LEA, 1)):
        db.session.rollback()
        conversation = db.session.scalars(select(Conversation.id).where(Conversation.ig_participant_id == who)).one()
        assert browser.get(f"/inbox/{conversation}").status_code == 200
        assert redis.llen(RESOLVE) == hints
    assert {who: vars(identity(who)) | {"_sa_instance_state": None} for who in (LEA, RUI)} == before


def test_a_contact_with_an_expired_picture_url_is_refreshed_too(account: Account, redis: Redis) -> None:
    row = named(account, ago=timedelta(days=3), picture_ends_in=timedelta(days=2))
    refresh_on_open.enqueue_refresh(row.id)
    assert redis.llen(RESOLVE) == 1
    tasks.opened(row.id)
    assert (identity().picture_expires_at or clock.now()) > clock.now()
    refresh_on_open.refresh(row.id)
    assert len(noted()) == 1


def test_who_is_fresh_costs_nothing(account: Account, redis: Redis) -> None:
    row = named(account, ago=timedelta(days=6), picture_ends_in=timedelta(days=10))
    refresh_on_open.enqueue_refresh(row.id)
    refresh_on_open.refresh(row.id)
    assert (redis.llen(RESOLVE), noted()) == (0, [])


def test_a_failed_lookup_keeps_its_planned_retry(account: Account, redis: Redis) -> None:
    people_wrote(GHOST, SHY)
    resolve.look_up_due(account.id)
    planned = {who: identity(who).next_try_at for who in (GHOST, SHY)}
    redis.flushall()
    for who in planned:
        refresh_on_open.enqueue_refresh(identity(who).id)
        refresh_on_open.refresh(identity(who).id)
    assert redis.llen(RESOLVE) == 0
    assert {who: identity(who).next_try_at for who in planned} == planned


def test_a_contact_of_an_old_conversation_without_a_lookup_goes_first(
    account: Account, frozen_clock: FrozenClock
) -> None:
    people_wrote(LEA, at=frozen_clock.now() - timedelta(days=1))
    refresh_on_open.refresh(identity().id)
    assert identity().username == "lea.moreau"


def test_without_redis_opening_is_as_quick_and_refreshes_no_contact(account: Account, redis: Redis) -> None:
    row = named(account, ago=FRESH + timedelta(hours=1))
    redis.config_set("maxmemory", "1")
    try:
        refresh_on_open.enqueue_refresh(row.id)
    finally:
        redis.config_set("maxmemory", "0")
    assert identity().next_try_at is None
