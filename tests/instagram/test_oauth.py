"""OAuth requests: URLs, both shapes of a response, and errors without an error object."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from socket import socket
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from app import clock
from app.instagram import oauth
from app.instagram.credential import Credential
from app.instagram.errors import GraphAPIError, Reason, Scope
from app.instagram.oauth import App, IssuedToken
from tests.instagram.graph import SAMPLES, Graph, Request, always, answer, reset, sampled, silent

EXCHANGE: dict[str, Any] = json.loads((SAMPLES / "oauth-exchange.json").read_text())
BACK = "https://inbox.example/accounts/connected/instagram"
META = App("https://graph.instagram.com", "v26.0", "4711", "hush")


@pytest.fixture
def graph() -> Iterator[Graph]:
    with Graph(silent) as started:
        yield started


@pytest.fixture
def app(graph: Graph) -> App:
    return App(graph.url, "v26.0", "4711", "hush")


def answering(first: bytes, then: bytes) -> Callable[[socket, Request], None]:
    left = [first, then]
    return lambda connection, _: connection.sendall(left.pop(0))


def failure_of(call: Callable[[], object]) -> GraphAPIError:
    with pytest.raises(GraphAPIError) as caught:
        call()
    return caught.value


def test_the_authorization_url_is_on_the_www_host() -> None:
    led = urlsplit(oauth.instagram_authorize_url(META, back_url=BACK, state="s p"))
    assert (led.netloc, led.path) == ("www.instagram.com", "/oauth/authorize")
    assert parse_qs(led.query) == {
        "client_id": ["4711"],
        "redirect_uri": [BACK],
        "response_type": ["code"],
        "scope": ["instagram_business_basic,instagram_business_manage_messages"],
        "state": ["s p"],
    }
    page = App("https://graph.facebook.com", "v26.0", "4711", "hush")
    assert oauth.facebook_authorize_url(page, back_url=BACK, state="s").startswith(
        "https://www.facebook.com/v26.0/dialog/oauth?"
    )
    assert META.host("api") == "https://api.instagram.com"
    assert App("http://127.0.0.1:8010/instagram", "v26.0", "1", "s").host("www") == "http://127.0.0.1:8010/instagram"
    assert "hush" not in repr(META)


@pytest.mark.parametrize("shape", ["documented_shape", "seen_shape"])
def test_a_code_becomes_a_token_of_sixty_days_in_either_shape(graph: Graph, app: App, shape: str) -> None:
    graph.say = answering(answer(EXCHANGE[shape]), answer(EXCHANGE["long_lived"]))
    given = oauth.instagram_token(app, code="AQBx#_", back_url=BACK)
    assert (given.value, given.permissions) == (
        "IGAAsampleLong",
        ("instagram_business_basic", "instagram_business_manage_messages"),
    )
    assert given.expires_at is not None
    assert abs(given.expires_at - clock.now() - timedelta(seconds=5_183_944)) < timedelta(seconds=10)
    first, second = graph.requests
    assert first.target == "/oauth/access_token"  # code and secret are in its body
    assert parse_qs(urlsplit(second.target).query) == {
        "grant_type": ["ig_exchange_token"],
        "client_secret": ["hush"],
        "access_token": ["IGAAsampleShort"],
    }
    assert "IGAA" not in repr(given)


def test_an_error_of_the_exchange_is_recognized_by_its_error_type(graph: Graph, app: App) -> None:
    graph.say = always(answer(EXCHANGE["error_shape"], status=400))
    failure = failure_of(lambda: oauth.instagram_token(app, code="used", back_url=BACK))
    assert (failure.scope, failure.reason, failure.sentence) == (Scope.ACCOUNT, Reason.TOKEN, oauth.REFUSED)
    graph.say = always(sampled("profile-error-100"))
    assert failure_of(lambda: oauth.facebook_token(app, code="used", back_url=BACK)).sentence == oauth.REFUSED
    graph.say = reset
    assert failure_of(lambda: oauth.facebook_token(app, code="used", back_url=BACK)).scope is Scope.NETWORK


@pytest.mark.parametrize(
    "body", [{}, {"access_token": 7}, {"access_token": ""}, {"access_token": "two words"}, {"data": []}, {"data": {}}]
)
def test_a_response_without_a_token_is_a_bad_answer(graph: Graph, app: App, body: dict[str, Any]) -> None:
    graph.say = always(answer(body))
    assert failure_of(lambda: oauth.instagram_token(app, code="c", back_url=BACK)).reason in (
        Reason.BAD_ANSWER,
        Reason.TOKEN,
    )


@pytest.mark.parametrize("life", [None, 0, -5, True, "60", 10**12])
def test_an_invalid_expiry_is_ignored(graph: Graph, app: App, life: object) -> None:
    graph.say = always(answer({"access_token": "EAAsample", "expires_in": life}))
    assert oauth.facebook_token(app, code="c", back_url=BACK) == IssuedToken("EAAsample", None)


def test_a_token_is_refreshed_without_version_or_secret(graph: Graph) -> None:
    graph.say = always(sampled("refresh-token"))
    given = oauth.refresh_long_lived(Credential(graph.url, "v26.0", "IGAAold", 2.0))
    assert (given.value, given.expires_at is not None) == ("IGAAsampleLong2", True)
    assert graph.requests[0].target == "/refresh_access_token?grant_type=ig_refresh_token&access_token=IGAAold"
