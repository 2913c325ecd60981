"""Messages by day, and how many only the conversation sync brought."""

from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import clock
from app.db import transaction
from app.ingest import sync
from app.insights import arrivals
from app.insights.arrivals import Arrivals
from app.models.account import Account
from app.viewer import OPERATOR, Role, Viewer
from tests.factories import CAMILLE, LEA, RUI, a_sandbox_account, people_wrote
from tests.ingest.test_sync import wrote
from tests.support.frozen_clock import FrozenClock
from tests.support.processes import Sandbox
from tests.web.browsing import signed_in


@pytest.fixture
def account(meta: Sandbox) -> Account:
    return a_sandbox_account(connected_at=clock.now() - timedelta(days=40))


def test_messages_that_only_the_sync_brought_are_counted(account: Account, meta: Sandbox) -> None:
    people_wrote(CAMILLE, RUI, CAMILLE)
    wrote(meta, LEA)
    wrote(meta, LEA, kind="echo")
    arrivals.record()
    sync.sync_account(account.id)
    arrivals.record()
    assert arrivals.by_account(OPERATOR) == {account.id: Arrivals(received=4, synced=1)}
    assert arrivals.by_account(OPERATOR)[account.id].percent == "25.00%"
    assert arrivals.by_account(Viewer(2, "Oskar", Role.OPS, frozenset({999}))) == {}


def test_thirty_days_are_shown_and_older_counts_deleted(account: Account, frozen_clock: FrozenClock) -> None:
    people_wrote(LEA)
    arrivals.record()
    frozen_clock.forward(days=29)
    people_wrote(RUI, at=clock.now())
    arrivals.record()
    assert arrivals.by_account(OPERATOR)[account.id].received == 2
    frozen_clock.forward(days=3)
    with transaction.write() as tx:
        arrivals.purge(tx, clock.now())
    assert arrivals.by_account(OPERATOR)[account.id].received == 1


def test_the_card_shows_the_share(app: Flask, account: Account, meta: Sandbox) -> None:
    client: FlaskClient = signed_in(app, Role.OPS)
    assert "Fetched by the sync only" not in client.get("/accounts").text
    people_wrote(CAMILLE)
    wrote(meta, LEA)
    sync.sync_account(account.id)
    arrivals.record()
    assert "1</span> of 2 messages in 30 days (50.00%)" in client.get("/accounts").text
