"""Pending updates: applied when their message arrives, even concurrently, and deleted after 30 days."""

import pytest
from flask import Flask
from sqlalchemy import select, update

from app import clock
from app.db import transaction
from app.db.engine import db
from app.db.types import digest
from app.ingest import message_updates, pending_updates
from app.instagram.events import MessageAnnounced, MessageEdited
from app.models.account import Account
from app.models.ingest import PendingMessageUpdate
from tests.factories import MAISON_LUNE, an_account
from tests.support.frozen_clock import FrozenClock
from tests.support.webhook_events import deliver, edit, message, react, the_message


@pytest.fixture
def account(app: Flask) -> Account:
    return an_account()


def test_an_update_stored_concurrently_with_its_message_is_applied(account: Account) -> None:
    deliver(message())
    early = MessageEdited(MAISON_LUNE, clock.now(), "m", "Bonsoir", 1)
    with transaction.write() as tx:  # as after two concurrent transactions
        pending_updates.keep(tx, account.id, early, at=clock.now())
    assert pending_updates.arrived() == [(account.id, digest("m"))]
    message_updates.apply_arrived()
    db.session.expire_all()
    assert (the_message().text, pending_updates.arrived()) == ("Bonsoir", [])


def test_updates_pending_for_thirty_days_are_deleted(account: Account, frozen_clock: FrozenClock) -> None:
    deliver(edit("Bonsoir"))
    frozen_clock.forward(days=29)
    with transaction.write() as tx:
        assert pending_updates.purge(tx, frozen_clock.now()) == 0
    frozen_clock.forward(days=2)
    with transaction.write() as tx:
        assert pending_updates.purge(tx, frozen_clock.now()) == 1


def test_a_pending_update_is_distinguished_from_a_lost_message(account: Account, frozen_clock: FrozenClock) -> None:
    deliver(react("❤️"))
    assert pending_updates.arrived() == []
    frozen_clock.forward(days=1)
    deliver(message())
    assert db.session.scalars(select(PendingMessageUpdate)).all() == []


def test_an_announcement_stored_by_an_earlier_release_is_applied(account: Account) -> None:
    with transaction.write() as tx:
        pending_updates.keep(tx, account.id, MessageAnnounced(MAISON_LUNE, clock.now(), "m"), at=clock.now())
        kept = tx.execute(select(PendingMessageUpdate.payload)).scalar_one()
        del kept["text"]  # which that release did not know
        tx.execute(update(PendingMessageUpdate).values(payload=kept))
    deliver(message())
    assert the_message().text == "Bonjour"
    assert db.session.scalars(select(PendingMessageUpdate)).all() == []


@pytest.mark.parametrize("texts", [("Bonsoir", None), (None, "Bonsoir"), (None, "Bonsoir", None)])
def test_of_several_announcements_the_one_with_a_text_is_kept(account: Account, texts: tuple[str | None, ...]) -> None:
    now = clock.now()
    for text in texts:
        with transaction.write() as tx:
            pending_updates.keep(tx, account.id, MessageAnnounced(MAISON_LUNE, now, "m", text), at=now)
    [kept] = db.session.scalars(select(PendingMessageUpdate))
    assert (kept.payload["text"], kept.next_try_at) == ("Bonsoir", now + pending_updates.PAUSES[0])
    deliver(message())
    assert the_message().text == "Bonsoir"
