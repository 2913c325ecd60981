"""The sources of a name, and what each returned."""

from datetime import timedelta

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import update

from app import clock, settings
from app.db import transaction
from app.identities import cache, observations
from app.identities.lookup_sources import LookupSource
from app.identities.observations import ProfileObservation
from app.models.account import Account
from app.models.call import ApiCall, Purpose
from app.models.identity import Identity, Source
from tests.factories import LEA, MAISON_LUNE, SHY, an_account, people_wrote
from tests.identities.explanations import explain, log_call


@pytest.fixture
def account(app: Flask) -> Account:
    account = an_account()
    people_wrote(LEA, SHY)
    return account


def places(account: Account, who: str) -> dict[str, LookupSource]:
    return {source.label: source for source in explain(account, who).sources}


def findings(account: Account, who: str) -> list[str]:
    return [place.finding for place in places(account, who).values()]


def test_without_a_lookup_every_source_is_empty(account: Account) -> None:
    assert findings(account, SHY) == ["Not synced", "Empty", "Empty", "Not requested"]


def test_a_failed_profile_call_and_a_page_without_the_name_differ(account: Account) -> None:
    log_call(account, SHY, http_status=403, code="230", answer="User consent is required", took_ms=312)
    with transaction.write() as tx:
        read = {"call": "conversations", "purpose": Purpose.SYNC, "http_status": 200, "at": clock.now()}
        asked_of = {"account_id": account.id, **read}
        tx.execute(tx.insert(ApiCall).values(**asked_of))
    assert findings(account, SHY) == ["Empty", "Empty", "Empty", "Failed"]
    assert places(account, SHY)["Profile API"].explanation == "1 call; the last one failed."


def test_a_name_is_found_where_it_came_from_and_kept_for_a_day(account: Account, redis: Redis) -> None:
    seen = ProfileObservation(LEA, "lea.moreau", "Léa", None, Source.PROFILE, clock.now())
    with transaction.write() as tx:
        observations.record(tx, account.id, seen)
    cache.write(MAISON_LUNE, seen)
    log_call(account, LEA, http_status=200, code=None, answer="username, name", took_ms=312)
    found = places(account, LEA)
    assert [place.finding for place in found.values()] == ["Not synced", "Hit", "Fresh", "Found"]
    assert found["Redis"].seconds_left == pytest.approx(86_400, abs=5)
    with transaction.write() as tx:
        tx.execute(update(Identity).values(last_success_at=clock.now() - timedelta(days=8)))
    assert findings(account, LEA)[2] == "Stale"


def test_an_unavailable_redis_is_shown(account: Account) -> None:
    with settings.using(redis_url="redis://127.0.0.1:1/0"):
        assert places(account, LEA)["Redis"].finding == "Unavailable"
