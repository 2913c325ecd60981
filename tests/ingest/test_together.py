"""Deliveries at the same moment: who settles whom, and what the others hear of a failure."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from app.db import transaction
from app.errors import Unavailable
from app.ingest import together
from app.ingest.together import ITEMS, Share
from app.instagram.webhook import Item
from tests.bed.waiting import until

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def a_share(items: int = 1) -> Share:
    return Share([Item(None, None, "unreadable", "", {})] * items, NOW)


class Turns:
    """Settles what it is given, and remembers it; the first turn lasts until it is let go."""

    def __init__(self) -> None:
        self.taken: list[list[Share]] = []
        self.first_may_end = threading.Event()

    def settle(self, shares: Sequence[Share]) -> None:
        self.taken.append(list(shares))
        if len(self.taken) == 1:
            assert self.first_may_end.wait(10)
        for share in shares:
            share.settled = True


@pytest.fixture(autouse=True)
def no_suspicion() -> Iterator[None]:
    yield
    together._suspect.clear()


@contextmanager
def at_once(turns: Turns, shares: Sequence[Share]) -> Iterator[None]:
    """Have a thread each land these shares, the others while the first has its turn."""
    threads = [threading.Thread(target=together.land, args=(share, turns.settle)) for share in shares]
    threads[0].start()
    until(lambda: len(turns.taken) == 1, "the turn")
    for thread in threads[1:]:
        thread.start()
    until(lambda: len(together._line) == len(shares) - 1, "the turn")
    turns.first_may_end.set()
    for thread in threads:
        thread.join(10)
    yield


def test_what_waits_during_a_turn_shares_the_next() -> None:
    turns, shares = Turns(), [a_share() for _ in range(8)]
    with at_once(turns, shares):
        assert [len(turn) for turn in turns.taken] == [1, 7]
    assert all(share.settled for share in shares)


def test_a_turn_takes_no_more_than_other_writers_can_wait_for() -> None:
    turns, shares = Turns(), [a_share(), *(a_share(items=ITEMS // 2) for _ in range(3))]
    with at_once(turns, shares):
        assert [sum(len(share.items) for share in turn) for turn in turns.taken] == [1, ITEMS, ITEMS // 2]


def test_a_thread_settles_one_turn_its_own_and_leaves_the_backlog_to_the_others() -> None:
    turns, own = Turns(), a_share()
    turns.first_may_end.set()
    together._line.extend([a_share(items=ITEMS) for _ in range(3)])
    try:
        together.land(own, turns.settle)
    finally:
        together._line.clear()
    assert turns.taken == [[own]]


def test_each_share_hears_of_its_own_failure_alone() -> None:
    def settle(shares: Sequence[Share]) -> None:
        for share in shares:
            share.error = Unavailable("database") if len(share.items) == 2 else None
            share.settled = True

    together.land(a_share(), settle)
    with pytest.raises(Unavailable):
        together.land(a_share(items=2), settle)
    together.land(a_share(), settle)


def test_a_share_that_gets_no_turn_in_time_is_refused_and_leaves_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction, "WAIT_SECONDS", 0.01)
    turns = Turns()
    turns.first_may_end.set()
    with together._leading, pytest.raises(Unavailable):
        together.land(a_share(), turns.settle)
    assert not together._line
    together.land(a_share(), turns.settle)


def test_only_a_few_wait_in_a_line_that_does_not_move(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "PATIENCE_SECONDS", 0.02)
    turns, most = Turns(), together._most_waiting()
    held, refused = a_share(), list[Share]()

    def wait(share: Share) -> None:
        try:
            together.land(share, turns.settle)
        except Unavailable:
            refused.append(share)

    threads = [threading.Thread(target=wait, args=(share,)) for share in (held, *(a_share() for _ in range(most + 2)))]
    for thread in threads:
        thread.start()
    until(lambda: len(refused) == 3, "those who are too many give up")
    with pytest.raises(Unavailable):
        together.land(a_share(), turns.settle)
    elsewhere = a_share()
    elsewhere.lines = frozenset({("another account", "another participant")})
    together.land(elsewhere, lambda shares: setattr(shares[0], "settled", True), shared=False)
    turns.first_may_end.set()
    for thread in threads:
        thread.join(10)
    assert len(refused) == 3
    together.land(a_share(), turns.settle)
