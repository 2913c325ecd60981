"""Effects that wait for their message: found when it comes, even at the same moment, and forgotten at last."""

import pytest
from flask import Flask
from sqlalchemy import select, update

from app import clock
from app.db import transaction
from app.db.engine import db
from app.db.types import digest
from app.ingest import effects, waiting
from app.instagram.events import MessageAnnounced, MessageEdited
from app.models.inbox import Account, WaitingEffect
from tests.bed.hands import Hands
from tests.cast import MAISON_LUNE, an_account
from tests.ingest.test_effects import deliver, edit, message, react, the_message


@pytest.fixture
def account(app: Flask) -> Account:
    return an_account()


def test_an_effect_and_its_message_that_came_at_once_find_each_other(account: Account) -> None:
    deliver(message())
    early = MessageEdited(MAISON_LUNE, clock.now(), "m", "Bonsoir", 1)
    with transaction.write() as tx:  # as if two transactions of PostgreSQL had not seen one another
        waiting.park(tx, account.id, early, at=clock.now())
    assert waiting.met() == [(account.id, digest("m"))]
    effects.settle_met()
    db.session.expire_all()
    assert (the_message().text, waiting.met()) == ("Bonsoir", [])


def test_what_has_waited_for_thirty_days_is_forgotten(account: Account, hands: Hands) -> None:
    deliver(edit("Bonsoir"))
    hands.forward(days=29)
    with transaction.write() as tx:
        assert waiting.purge(tx, hands.now()) == 0
    hands.forward(days=2)
    with transaction.write() as tx:
        assert waiting.purge(tx, hands.now()) == 1


def test_a_wait_is_told_from_a_loss(account: Account, hands: Hands) -> None:
    deliver(react("❤️"))
    assert waiting.met() == []
    hands.forward(days=1)
    deliver(message())
    assert db.session.scalars(select(WaitingEffect)).all() == []


def test_an_announcement_that_an_earlier_release_kept_meets_its_message(account: Account) -> None:
    with transaction.write() as tx:
        waiting.park(tx, account.id, MessageAnnounced(MAISON_LUNE, clock.now(), "m"), at=clock.now())
        kept = tx.execute(select(WaitingEffect.effect)).scalar_one()
        del kept["text"]  # which that release did not know
        tx.execute(update(WaitingEffect).values(effect=kept))
    deliver(message())
    assert the_message().text == "Bonjour"
    assert db.session.scalars(select(WaitingEffect)).all() == []
