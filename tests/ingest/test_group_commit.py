"""Group commit of concurrent deliveries: which thread commits which, and who gets an error."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from app.db import transaction
from app.errors import Unavailable
from app.ingest import group_commit
from app.ingest.group_commit import MAX_ITEMS, PendingDelivery
from app.instagram.webhook import WebhookItem
from tests.support.waiting import until

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def a_share(items: int = 1) -> PendingDelivery:
    return PendingDelivery([WebhookItem(None, None, "unreadable", "", {})] * items, NOW)


class Turns:
    """A commit function that records its groups; the first commit blocks until it is released."""

    def __init__(self) -> None:
        self.taken: list[list[PendingDelivery]] = []
        self.first_may_end = threading.Event()

    def finish(self, deliveries: Sequence[PendingDelivery]) -> None:
        self.taken.append(list(deliveries))
        if len(self.taken) == 1:
            assert self.first_may_end.wait(10)
        for delivery in deliveries:
            delivery.done = True


@pytest.fixture(autouse=True)
def no_suspicion() -> Iterator[None]:
    yield
    group_commit.reset()


@contextmanager
def at_once(turns: Turns, deliveries: Sequence[PendingDelivery]) -> Iterator[None]:
    """Commit each delivery in a thread of its own, the others while the first one commits."""
    threads = [
        threading.Thread(target=group_commit.commit_with_others, args=(delivery, turns.finish))
        for delivery in deliveries
    ]
    threads[0].start()
    until(lambda: len(turns.taken) == 1, "the turn")
    for thread in threads[1:]:
        thread.start()
    until(lambda: group_commit.waiting() == len(deliveries) - 1, "the turn")
    turns.first_may_end.set()
    for thread in threads:
        thread.join(10)
    yield


def test_deliveries_that_wait_for_a_commit_share_the_next_one() -> None:
    turns, deliveries = Turns(), [a_share() for _ in range(8)]
    with at_once(turns, deliveries):
        assert [len(turn) for turn in turns.taken] == [1, 7]
    assert all(delivery.done for delivery in deliveries)


def test_a_group_has_at_most_the_maximum_of_items() -> None:
    turns, deliveries = Turns(), [a_share(), *(a_share(items=MAX_ITEMS // 2) for _ in range(3))]
    with at_once(turns, deliveries):
        assert [sum(len(delivery.items) for delivery in turn) for turn in turns.taken] == [1, MAX_ITEMS, MAX_ITEMS // 2]


def test_a_thread_commits_one_group_and_leaves_the_backlog_to_the_others() -> None:
    turns, own = Turns(), a_share()
    turns.first_may_end.set()
    # Waiting threads would take a turn of their own, so the backlog is put in place without them.
    group_commit._pending.extend([a_share(items=MAX_ITEMS) for _ in range(3)])
    try:
        group_commit.commit_with_others(own, turns.finish)
    finally:
        group_commit._pending.clear()
    assert turns.taken == [[own]]


def test_each_delivery_raises_only_its_own_error() -> None:
    def finish(deliveries: Sequence[PendingDelivery]) -> None:
        for delivery in deliveries:
            delivery.error = Unavailable("database") if len(delivery.items) == 2 else None
            delivery.done = True

    group_commit.commit_with_others(a_share(), finish)
    with pytest.raises(Unavailable):
        group_commit.commit_with_others(a_share(items=2), finish)
    group_commit.commit_with_others(a_share(), finish)


def test_a_delivery_that_waits_too_long_is_refused_and_leaves_the_queue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transaction, "WAIT_SECONDS", 0.01)
    turns = Turns()
    turns.first_may_end.set()
    # No public call holds the turn without a thread that must end in time.
    with group_commit._leader, pytest.raises(Unavailable):
        group_commit.commit_with_others(a_share(), turns.finish)
    assert group_commit.waiting() == 0
    group_commit.commit_with_others(a_share(), turns.finish)


def test_only_a_few_deliveries_wait_for_a_blocked_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "PATIENCE_SECONDS", 0.02)
    turns, most = Turns(), group_commit.most_waiting()
    held, refused = a_share(), list[PendingDelivery]()

    def wait(delivery: PendingDelivery) -> None:
        try:
            group_commit.commit_with_others(delivery, turns.finish)
        except Unavailable:
            refused.append(delivery)

    threads = [
        threading.Thread(target=wait, args=(delivery,)) for delivery in (held, *(a_share() for _ in range(most + 2)))
    ]
    for thread in threads:
        thread.start()
    until(lambda: len(refused) == 3, "those who are too many give up")
    with pytest.raises(Unavailable):
        group_commit.commit_with_others(a_share(), turns.finish)
    elsewhere = a_share()
    elsewhere.locks = frozenset({("another account", "another participant")})
    group_commit.commit_with_others(elsewhere, lambda deliveries: setattr(deliveries[0], "done", True), shared=False)
    turns.first_may_end.set()
    for thread in threads:
        thread.join(10)
    assert len(refused) == 3
    group_commit.commit_with_others(a_share(), turns.finish)
