"""Pages, clicks and deliveries while Redis does not answer: each command costs half a second, so there are few."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis.exceptions import TimeoutError
from sqlalchemy import select

from app import clock
from app.db import transaction
from app.db.engine import db
from app.identities import observations
from app.identities.observations import FRESH, ProfileObservation
from app.models.account import Account
from app.models.conversation import Conversation
from app.models.identity import Source
from app.redis_client import ANSWER_SECONDS
from tests.factories import LEA, a_delivery, a_message_event, an_account, people_wrote
from tests.support.redis_faults import redis_failing_after
from tests.support.webhooks import signed_headers
from tests.web.browsing import HTMX, csrf, signed_in

LONGEST_SECONDS = 1.0  # for Redis in total


@pytest.fixture
def account(app: Flask) -> Account:
    account = an_account()
    people_wrote(LEA)
    with transaction.write() as tx:  # stale, so that opening the conversation enqueues a lookup
        long_ago = clock.now() - FRESH - FRESH
        observations.record(tx, account.id, ProfileObservation(LEA, "lea.moreau", None, None, Source.PROFILE, long_ago))
    return account


def answered(browser: FlaskClient, method: str, path: str, token: dict[str, str]) -> int:
    if path == "/webhooks/instagram":
        body = a_delivery(a_message_event(LEA))
        return browser.post(path, data=body, headers=signed_headers(body)).status_code
    return browser.open(path, method=method, headers=HTMX | token if method == "POST" else {}).status_code


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_no_page_click_or_delivery_waits_longer_than_a_second_for_a_frozen_redis(app: Flask) -> None:
    conversation = f"/inbox/{db.session.scalars(select(Conversation.id)).one()}"
    browser = signed_in(app)
    token = {"X-CSRFToken": csrf(browser.get("/inbox"))}
    waits = {}
    for method, path, status in (
        *(("GET", path, 200) for path in (conversation, "/inbox", "/jobs", "/identities", "/accounts", "/insights")),
        ("POST", "/webhooks/instagram", 200),
        *(("POST", f"{conversation}/{click}", 204) for click in ("read", "unread", "refresh")),
        *(("GET", path, 200) for path in (conversation, "/inbox", "/jobs")),  # after a change that did not reach Redis
    ):
        with redis_failing_after(0, TimeoutError) as asked:
            assert answered(browser, method, path, token) == status
        waits[path] = asked[0] * ANSWER_SECONDS
    assert max(waits.values()) <= LONGEST_SECONDS, waits
