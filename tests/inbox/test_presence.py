"""Presence: who has a conversation open, for how long, and what happens without Redis."""

import pytest
from flask import Flask
from redis import Redis

from app import settings
from app.inbox import presence
from app.viewer import OPERATOR, Viewer
from app.web import conditional
from tests.factories import a_user
from tests.support.frozen_clock import FrozenClock


@pytest.fixture
def users(app: Flask) -> tuple[Viewer, Viewer]:
    return (a_user("nadia.kessler"), a_user("oskar"))


def test_others_are_present_never_the_viewer(users: tuple[Viewer, Viewer]) -> None:
    nadia, oskar = users
    assert presence.report(nadia, 1, visible=True) == ()
    assert presence.report(oskar, 1, visible=True) == (nadia.user_id,)
    assert presence.report(nadia, 1, visible=True) == (oskar.user_id,)
    assert presence.report(oskar, 2, visible=True) == ()


def test_a_hidden_tab_and_an_api_token_are_not_present(users: tuple[Viewer, Viewer]) -> None:
    nadia, oskar = users
    presence.report(nadia, 1, visible=False)
    presence.report(OPERATOR, 1, visible=True)
    assert presence.report(oskar, 1, visible=True) == ()


def test_presence_ends_without_polls(users: tuple[Viewer, Viewer], frozen_clock: FrozenClock) -> None:
    nadia, oskar = users
    presence.report(nadia, 1, visible=True)
    frozen_clock.forward(seconds=presence.PRESENT_SECONDS - 1)
    assert presence.report(oskar, 1, visible=True) == (nadia.user_id,)
    frozen_clock.forward(seconds=1)
    assert presence.report(oskar, 1, visible=True) == ()


def test_leaving_and_signing_out_end_presence(users: tuple[Viewer, Viewer]) -> None:
    nadia, oskar = users
    for conversation_id in (1, 2):
        presence.report(nadia, conversation_id, visible=True)
    presence.leave(nadia, 1)
    assert presence.report(oskar, 1, visible=False) == ()
    assert presence.report(oskar, 2, visible=False) == (nadia.user_id,)
    presence.leave_all(nadia)
    assert presence.report(oskar, 2, visible=False) == ()


def test_two_users_are_named_and_the_others_counted(app: Flask) -> None:
    ids = tuple(a_user(f"user{number}").user_id or 0 for number in range(200))
    assert presence.get_present(ids) == presence.Present(("user0@example.com", "user1@example.com"), 198)
    assert presence.get_present(()) == presence.Present((), 0)


def test_without_redis_nobody_is_present_and_nothing_fails(users: tuple[Viewer, Viewer]) -> None:
    nadia, oskar = users
    presence.report(nadia, 1, visible=True)
    with settings.using(redis_url="unix:///nowhere/redis.sock"):
        assert presence.report(oskar, 1, visible=True) == ()
        presence.leave(oskar, 1)
        presence.leave_all(oskar)


def test_strange_values_in_redis_are_ignored(users: tuple[Viewer, Viewer], redis: Redis) -> None:
    nadia, oskar = users
    redis.zadd("nametag:present:1", {"somebody": 9e12, "\xff": 9e12})
    redis.sadd(f"nametag:present:user:{nadia.user_id}", "nowhere")
    assert presence.report(oskar, 1, visible=True) == ()
    presence.leave_all(nadia)
    redis.set("nametag:present:2", "text")
    assert presence.report(oskar, 2, visible=True) == ()


def test_entries_expire_in_redis_too(users: tuple[Viewer, Viewer], redis: Redis) -> None:
    nadia, _ = users
    presence.report(nadia, 1, visible=True)
    keys = redis.keys("nametag:present:*")
    assert len(keys) == 2
    assert all(0 < redis.ttl(key) <= presence.PRESENT_SECONDS for key in keys)


def test_presence_outlasts_the_pause_between_two_polls_of_a_thread() -> None:
    assert conditional.SECONDS["thread"] * 1.5 < presence.PRESENT_SECONDS
