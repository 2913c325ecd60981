"""State of the sandbox: threads, limits, counts."""

import time

import pytest

from app.sandbox.accounts import ACCOUNTS
from app.sandbox.world import Choices, World
from tests.factories import ATELIER_NORD, LEA, MAISON_LUNE


@pytest.fixture
def world() -> World:
    return World.create("http://127.0.0.1:1", Choices(0, 3, "off"), contacts=20, seed=7)


def test_only_a_message_of_the_contact_counts_as_written(world: World) -> None:
    account, lea = ACCOUNTS[MAISON_LUNE], world.contacts[LEA]
    echo = world.add(account, lea, text="Bonjour", photo=None, outgoing=True)
    assert (echo.from_id, echo.to_id, lea.wrote) == (MAISON_LUNE, LEA, False)
    world.add(account, lea, text="Bonjour", photo=None, outgoing=False)
    assert lea.wrote
    assert world.stats()["messages"] == 2


def test_message_ids_are_long_and_unique(world: World) -> None:
    sent = [
        world.add(ACCOUNTS[MAISON_LUNE], world.contacts[LEA], text="a", photo=None, outgoing=False) for _ in range(9)
    ]
    assert len({each.mid for each in sent}) == 9
    assert all(len(each.mid) > 100 for each in sent)


def test_each_account_has_its_own_hourly_limit(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    maison, atelier = ACCOUNTS[MAISON_LUNE], ACCOUNTS[ATELIER_NORD]
    assert [world.within_limit(maison, "profile") for _ in range(4)] == [True, True, True, False]
    assert world.within_limit(atelier, "profile")
    assert (world.used_percent(maison), world.used_percent(atelier)) == (100, 33)
    assert 59 <= world.minutes_to_regain(maison) <= 61
    later = time.monotonic() + world.choices.hour_seconds + 1
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert world.within_limit(maison, "profile")


def test_contacts_belong_to_one_account(world: World) -> None:
    both = world.of_account(MAISON_LUNE), world.of_account(ATELIER_NORD)
    assert sum(map(len, both)) == len(world.contacts)
