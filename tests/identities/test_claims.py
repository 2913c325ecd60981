"""Claims: one lookup at a time for each contact, also when a process stalls or a clock is wrong."""

from datetime import datetime, timedelta

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import select, update

from app import change_tokens, clock
from app.db import transaction
from app.db.engine import db
from app.identities import claims, resolve
from app.identities.claims import CLAIM
from app.models.account import Account
from app.models.call import Purpose
from app.models.identity import Identity
from tests.factories import CAMILLE, LEA, an_account, people_wrote


@pytest.fixture
def account(app: Flask) -> Account:
    account = an_account()
    people_wrote(LEA, CAMILLE)
    return account


def take(account: Account, *who: str, now: datetime) -> set[str]:
    with transaction.write() as tx:
        return claims.take(tx, account.id, who, now=now, until=now + CLAIM)


def give_back(account: Account, who: str, *, claim: datetime, next_try_at: datetime | None = None) -> bool:
    with transaction.write() as tx:
        return claims.release(tx, account.id, [who], claim=claim, next_try_at=next_try_at)


def lea() -> Identity:
    db.session.rollback()
    return db.session.scalars(select(Identity).where(Identity.ig_participant_id == LEA)).one()


def test_one_claim_at_a_time(account: Account) -> None:
    now = clock.now()
    assert take(account, LEA, now=now) == {LEA}
    assert take(account, LEA, CAMILLE, now=now) == {CAMILLE}
    assert take(account, LEA, now=now + CLAIM + timedelta(seconds=1)) == {LEA}


def test_a_worker_with_an_expired_claim_releases_nothing(account: Account) -> None:
    early = clock.now()
    late = early + CLAIM + timedelta(seconds=1)
    take(account, LEA, now=early)
    take(account, LEA, now=late)
    assert not give_back(account, LEA, claim=early + CLAIM, next_try_at=late + timedelta(hours=1))
    assert lea().claimed_until == late + CLAIM
    assert take(account, LEA, now=late) == set()
    assert give_back(account, LEA, claim=late + CLAIM)
    assert take(account, LEA, now=late) == {LEA}


def test_a_claim_from_a_clock_that_ran_ahead_counts_as_lapsed(account: Account) -> None:
    now = clock.now()
    take(account, LEA, now=now + timedelta(hours=1))
    assert take(account, LEA, now=now) == {LEA}


def test_contacts_released_during_a_pause_wait_for_its_end(account: Account) -> None:
    now = clock.now()
    take(account, LEA, now=now)
    give_back(account, LEA, claim=now + CLAIM, next_try_at=now + timedelta(minutes=19))
    assert (lea().claimed_until, lea().next_try_at) == (None, now + timedelta(minutes=19))


def test_a_fresh_contact_is_no_longer_due_unless_a_user_requested_it(account: Account) -> None:
    for purpose, waits in ((Purpose.LIVE, False), (Purpose.ASKED, True)):
        now = clock.now()
        take(account, LEA, now=now)
        with transaction.write() as tx:
            tx.execute(update(Identity).values(next_try_at=now, next_purpose=purpose))
            claims.release_fresh(tx, account.id, LEA, claim=now + CLAIM)
        assert ((lea().next_try_at is not None), lea().claimed_until) == (waits, None)


def test_a_fresh_contact_whose_lookup_is_dropped_looks_different(account: Account, redis: Redis) -> None:
    for next_purpose, changes in ((Purpose.BACKFILL, True), (None, False)):
        now = clock.now()
        take(account, LEA, now=now)
        with transaction.write() as tx:
            tx.execute(update(Identity).values(next_try_at=now if next_purpose else None, next_purpose=next_purpose))
        before = change_tokens.current(account.id, LEA), change_tokens.current(account.id, CAMILLE)
        with transaction.write() as tx:
            claims.release_fresh(tx, account.id, LEA, claim=now + CLAIM)
        assert (change_tokens.current(account.id, LEA) != before[0]) is changes
        assert change_tokens.current(account.id, CAMILLE) == before[1]


def test_a_contact_whose_lookup_is_postponed_looks_different(account: Account, redis: Redis) -> None:
    now = clock.now()
    take(account, LEA, now=now)
    before = change_tokens.current(account.id, LEA), change_tokens.current(account.id, CAMILLE)
    give_back(account, LEA, claim=now + CLAIM, next_try_at=now + timedelta(minutes=19))
    assert change_tokens.current(account.id, LEA) != before[0]
    assert change_tokens.current(account.id, CAMILLE) == before[1]


def test_a_contact_whose_next_lookup_is_corrected_looks_different(account: Account, redis: Redis) -> None:
    with transaction.write() as tx:
        tx.execute(update(Identity).values(next_try_at=clock.now() + timedelta(days=400)))
    before = change_tokens.current(account.id, LEA)
    resolve.correct_times()
    assert change_tokens.current(account.id, LEA) != before
    assert (lea().next_try_at or clock.now()) < clock.now()
