"""Every response of Meta instead of a profile: the cause, what is kept, and what is retried."""

import socket
from dataclasses import dataclass
from datetime import timedelta

import pytest
from redis import Redis
from sqlalchemy import delete, select, update

from app import clock, settings
from app.db import transaction
from app.db.engine import db
from app.identities import observations, resolve
from app.identities.observations import FRESH, ProfileObservation
from app.instagram.errors import Reason
from app.models.account import Account, AccountState
from app.models.call import ApiCall, CallRefusal, Purpose
from app.models.identity import Identity, Source
from tests.calls.lookups import noted
from tests.factories import LEA, a_sandbox_account, people_wrote
from tests.support.processes import Sandbox
from tests.support.redis_faults import redis_failing_after

OLD = "lea.old"  # what is known of Léa, eight days ago
SECONDS = 0.4  # instead of two, for what never answers


@dataclass(frozen=True)
class Became:
    """What a lookup of a stale person made of row and account; `again` is how many calls the next turn makes."""

    username: str | None = OLD
    error: Reason | None = None
    counted: int = 0
    calls: int = 1
    again: int = 0
    state: AccountState = AccountState.CONNECTED


NETWORK = Became(error=Reason.NETWORK)
TIMEOUT = Became(error=Reason.TIMEOUT)
TEMPORARY = Became(error=Reason.TEMPORARY)
BAD = Became(error=Reason.BAD_ANSWER, counted=1)
STOPPED = Became()
RECONNECT = Became(state=AccountState.RECONNECT)
GONE = Became(error=Reason.NOT_VISIBLE, counted=1)
NAMED = Became(username="lea.moreau")

MODES = {
    **dict.fromkeys(("reset",), NETWORK),
    **dict.fromkeys(("hang", "drip"), TIMEOUT),
    **dict.fromkeys(("500", "1", "2"), TEMPORARY),
    **dict.fromkeys(("html", "malformed", "empty", "array", "types", "truncated"), BAD),
    **dict.fromkeys(("huge", "gzip-bomb", "redirect", "swapped"), BAD),
    **dict.fromkeys(("429", "17", "613", "80002", "80006", "4", "3", "10", "200", "100-method"), STOPPED),
    **dict.fromkeys(("190", "190-460", "190-checkpoint", "190-wrong-host"), RECONNECT),
    "230": Became(error=Reason.CONSENT, counted=1),
    **dict.fromkeys(("9010", "100-33", "100-2018218"), GONE),
    "100": Became(error=Reason.FIELD, counted=1, calls=2),  # refused again without the field
    "null": Became(error=Reason.NO_NAME, counted=1),
    "headers-malformed": NAMED,
}


@pytest.fixture
def database(sqlite_database: str) -> str:
    """On SQLite alone: what an answer means does not depend on the database."""
    return sqlite_database


@pytest.fixture
def account(meta: Sandbox) -> Account:
    account = a_sandbox_account()
    people_wrote(LEA)
    return account


def stale_and_due(account: Account, redis: Redis) -> None:
    redis.flushall()
    long_ago = clock.now() - FRESH - timedelta(days=1)
    with transaction.write() as tx:
        tx.execute(delete(ApiCall))
        tx.execute(delete(CallRefusal))
        tx.execute(delete(Identity))
        tx.execute(update(Account).values(state=AccountState.CONNECTED))
        observations.record(
            tx, account.id, ProfileObservation(LEA, OLD, "Léa", "https://x/a.jpg", Source.PROFILE, long_ago)
        )
    with transaction.write() as tx:
        tx.execute(update(Identity).values(next_try_at=clock.now(), next_purpose=Purpose.LIVE))


def lea() -> Identity:
    db.session.rollback()
    return db.session.scalars(select(Identity)).one()


def became(account: Account) -> Became:
    resolve.look_up_due(account.id)
    row, calls = lea(), len(noted())
    assert (row.name is None, row.picture_url is None, row.claimed_until) == (False, False, None)
    reason = Reason(row.last_error) if row.last_error else None
    username, counted = row.username, row.failure_count
    if username == OLD and reason is None:  # nobody is blamed, all wait
        with transaction.write() as tx:
            observations.request_lookup(tx, account.id, LEA, at=clock.now())
        resolve.look_up_due(account.id)
    again, state = len(noted()) - calls, db.session.execute(select(Account.state)).scalar_one()
    return Became(username, reason, counted, calls, again, state)


@pytest.mark.timeout(120)
def test_whatever_comes_instead_of_a_profile_keeps_the_name_and_blames_the_right_one(
    account: Account, meta: Sandbox, redis: Redis
) -> None:
    found = {}
    for mode in MODES:
        stale_and_due(account, redis)
        meta.request("DELETE", "faults")
        meta.post("faults", mode=mode)
        with settings.using(graph_timeout_seconds=SECONDS):
            began = clock.monotonic()
            found[mode] = became(account)
            assert clock.monotonic() - began < SECONDS + 5, mode
        assert all((row.took_ms or 0) < SECONDS * 1000 + 500 for row in noted()), mode
    assert found == MODES


def test_an_unreachable_host_counts_against_no_contact(account: Account, redis: Redis) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}", "http://nobody.invalid"):
        stale_and_due(account, redis)
        with settings.using(graph_instagram_url=url):
            assert became(account) == NETWORK


def test_redis_may_go_at_every_step_of_a_lookup(account: Account, redis: Redis) -> None:
    step, away = 0, True
    while away:
        stale_and_due(account, redis)
        with redis_failing_after(step) as given:
            resolve.look_up_due(account.id)
            away = given[0] > step
        asked = len(noted())
        assert asked <= 1
        assert lea().claimed_until is None
        assert lea().last_error is None
        assert lea().username == ("lea.moreau" if asked and lea().next_try_at is None else OLD)
        redis.flushall()  # it comes back empty
        with transaction.write() as tx:
            tx.execute(update(Identity).where(Identity.next_try_at.is_not(None)).values(next_try_at=clock.now()))
        resolve.look_up_due(account.id)
        assert lea().username == "lea.moreau"
        step += 1
    assert step > 5
