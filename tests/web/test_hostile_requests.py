"""Hostile headers, URLs and forms on every route never cause a 5xx response."""

import re
from collections.abc import Iterator, Sequence
from itertools import cycle
from urllib.parse import unquote

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from werkzeug.routing import Rule

from app.users import api_tokens
from app.viewer import OPERATOR, Role
from tests.factories import LEA, an_account, people_wrote
from tests.web.browsing import csrf, signed_in

LONG = "x" * 5_000
URLS = ("http://[", "http://[::1", "http://a:port/", "//[", "http://\u00ad/", "http://a\u00a8b/", "\x7f", "", LONG)
# Headers that no route refuses a request for: all of them are sent together.
IGNORABLE = {
    "HX-Current-URL": (*URLS, "http://x/inbox/1?before=%00", "/inbox/999999999999999999", "/inbox/1?before=\xff"),
    "HX-Trigger": ("conv-list", "\xff", LONG),
    "HX-History-Restore-Request": ("true", "\xff", "false"),
    "If-None-Match": ('"', "W/", '*, "\xff', 'W/"' + LONG + '"', ","),
    "If-Modified-Since": ("\xff", "Sun, 99 Nov 99999 99:99:99 GMT"),
    "If-Range": ('"', "\xff"),
    "Range": ("bytes=", "bytes=-0", "bytes=9-1", "bytes=0-99999999999999999999,1-", "lines=\xff"),
    "Accept": ("\xff", "*/*;q=x", ";;", "text/html;q=99999999999999999999"),
    "Accept-Language": ("\xff", ";q=", "x" * 400 + ";q=nan", "*;q=1e999"),
    "Accept-Encoding": ("\xff", "gzip;q=nan"),
    "X-Forwarded-For": ("\xff", "1" * 400, ",,,", "fe80::1%" + "x" * 99, "1.2.3.4:99999"),
    "X-Forwarded-Proto": ("\xff", "https,,http", "javascript"),
    "X-Forwarded-Host": ("[", "\xff"),
    "Forwarded": ("for=[", "\xff"),
    "Prefer": ("wait", "wait=", "wait=-1", "wait=nan", "wait=99999999999999999999", "wait=\u00b2", ";=,", "\xff"),
    "X-Request-Id": ("\xff", LONG),
    "X-HTTP-Method-Override": ("\xff", "DELETE"),
    "User-Agent": ("\xff", LONG),
}
# Headers that decide whether a request is answered at all: each is sent alone.
DECISIVE = {
    "Origin": URLS,
    "Referer": (*URLS, "http://localhost/%00?%00", "http://localhost/\xff"),
    "Sec-Fetch-Site": ("\xff", "none"),
    "X-CSRFToken": ("\xff", LONG),
    "X-Hub-Signature-256": ("sha256=", "sha256=\xff", "\xff"),
    "Content-Type": ("", "multipart/form-data", "multipart/form-data; boundary=\xff", "application/json; charset=\xff"),
    "Content-Length": ("-1", "x", "99999999999999999999", "\u00b2"),
    "Content-Encoding": ("\xff", "gzip"),
    "Transfer-Encoding": ("\xff", "gzip"),
    "Cookie": ("nametag=", "nametag=.e.x", 'nametag="\\000"; theme=\xff', "zone=\xff/..; tz=../", "=;;=", LONG),
    "Authorization": ("Bearer", "Bearer \xff", "Basic \xff", "Bearer nametag_" + LONG, "Digest a=", "="),
    "Host": ("[", "]:", "a:b", "a b", "\xff", "[::1", "localhost:99999999"),
}
ONLY_GET_TOO = ("Cookie", "Authorization", "Host")  # the others matter where something is changed
ROUNDS = 3
HOSTILE_PARTS = ("%00", "1%00", "%FF%FE", "%ED%A0%80", "-1", "9" * 20, "9" * 5_000, "x" * 300, "%27%3B--", "01234abcd")
HOSTILE_VALUES = (
    *("%00", "%FF%FE", "%ED%A0%80", "%F0%9F%92%A9", "%C2%B2", "%D9%A3", "%0D%0AX:y", "-1", "0", "9" * 20, "9" * 5_000),
    *(
        "1e999",
        "nan",
        "1.5",
        "x" * 2_000,
        "%27%22%3B--",
        "%25",
        "%5C",
        "..",
        "true",
        "%5B%5D",
        "1,2",
        "all",
        "01234abcd",
    ),
    *("2026-11-29T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59-14:00"),
)
QUERY = (  # noqa: SIM905 - so many names read better as words
    "account accountId action actor after backfilled before code cursor error filter format hub.challenge hub.mode "
    "hub.verify_token kind limit new next page q reason retry since size source sort state status order until "
    "updatedSince v which zone days username"
).split()
FORM = (  # noqa: SIM905 - as above
    "account batch batch_size days email every id ig_account_id limit login name password present role scope "
    "signed_request size source theme token which zone participants"
).split()
pytestmark = pytest.mark.timeout(120)
SPARED = {"session.leave"}  # ends the session of the test


@pytest.fixture
def admin(app: Flask) -> FlaskClient:
    an_account()
    people_wrote(LEA)
    return signed_in(app, Role.ADMIN)


@pytest.fixture
def bearer(app: Flask) -> dict[str, str]:
    return {"Authorization": f"Bearer {api_tokens.create(OPERATOR, 'fuzz', ['read', 'jobs'])}"}


def test_hostile_headers_never_make_a_route_fail(
    app: Flask, admin: FlaskClient, bearer: dict[str, str], redis: Redis
) -> None:
    token = {"X-CSRFToken": csrf(admin.get("/inbox"))}
    clients = cycle((admin, admin, app.test_client()))
    failed = []
    for rule, method, headers in with_hostile_headers(app):
        usual = bearer if rule.endpoint.startswith("api.") else token
        with next(clients).open(url(rule, "1"), method=method, headers=usual | headers) as answer:
            if answer.status_code >= 500:
                failed.append((answer.status_code, method, rule.rule, headers))
        redis.flushall()  # no limit of calls is reached
    assert failed == []


def test_hostile_urls_and_forms_never_make_a_route_fail(
    app: Flask, admin: FlaskClient, bearer: dict[str, str], redis: Redis
) -> None:
    token = {"X-CSRFToken": csrf(admin.get("/inbox"))}
    failed = []
    for rule, method, address, form in with_hostile_values(app):
        usual = bearer if rule.endpoint.startswith("api.") else token
        with admin.open(address, method=method, headers=usual, data=form) as answer:
            if answer.status_code >= 500:
                failed.append((answer.status_code, method, address[:200], form))
        redis.flushall()
    assert failed == []


def with_hostile_values(app: Flask) -> Iterator[tuple[Rule, str, str, dict[str, str]]]:
    """Yield every route and method with hostile values in its path, its query and its form."""
    values = cycle(HOSTILE_VALUES)
    for rule, method in routes(app):
        for part in HOSTILE_PARTS if rule.arguments else ():
            yield rule, method, url(rule, part), {}
        for names in batched(QUERY if method == "GET" else FORM):
            sent = {name: next(values) for name in names}
            query = "&".join(f"{name}={value}" for name, value in sent.items())
            form = {name: unquote(value) for name, value in sent.items()} if method == "POST" else {}
            yield rule, method, f"{url(rule, '1')}?{query}", form


def batched(names: Sequence[str], size: int = 8) -> Iterator[Sequence[str]]:
    """Yield `names` a few at a time."""
    for start in range(0, len(names), size):
        yield names[start : start + size]


def with_hostile_headers(app: Flask) -> Iterator[tuple[Rule, str, dict[str, str]]]:
    """Yield every route and method with hostile headers, each time with other values."""
    ignorable = {name: cycle(values) for name, values in IGNORABLE.items()}
    decisive = {name: cycle(values) for name, values in DECISIVE.items()}
    for rule, method in routes(app):
        for number in range(ROUNDS):
            yield (
                rule,
                method,
                {"HX-Request": ("true", "", "\xff")[number]}
                | {name: next(values) for name, values in ignorable.items()},
            )
        for name, values in decisive.items():
            if method == "POST" or name in ONLY_GET_TOO:
                yield rule, method, {"HX-Request": "true", name: next(values)}


def routes(app: Flask) -> Iterator[tuple[Rule, str]]:
    """Yield every route with GET and POST, whichever it takes."""
    for rule in app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) & {"GET", "POST"}):
            if rule.endpoint not in SPARED:
                yield rule, method


def url(rule: Rule, value: str) -> str:
    """Return the URL of a route with `value`, percent-encoded, in place of each of its variables."""
    return re.sub(r"<[^>]+>", lambda _: value, rule.rule)
