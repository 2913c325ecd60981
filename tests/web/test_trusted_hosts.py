"""Trusted host names, and trusted reverse proxies."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from werkzeug.test import EnvironBuilder, run_wsgi_app

from app import audit, settings
from app.factory import create_app
from app.users import api_tokens, users
from app.viewer import OPERATOR, Role
from tests.support import databases
from tests.web.browsing import PASSWORD, click, sign_in, signed_in

NADIA = "nadia@example.com"
REQUESTS = (
    *(("GET", "/login"), ("POST", "/login"), ("GET", "/static/app.css"), ("GET", "/x")),
    ("POST", "/webhooks/instagram"),
)


def a_visitor(url: str, redis: str, **chosen: object) -> FlaskClient:
    with settings.using(database_url=url, redis_url=redis, **chosen):
        return create_app().test_client()


def test_production_answers_to_its_names_alone(sqlite_database: str, redis_server: str) -> None:
    chosen = {"nametag_env": "production", "trusted_hosts": ("inbox.example.com",)}
    visitor = a_visitor(sqlite_database, redis_server, **chosen)
    for host in ("inbox.example.com", "inbox.example.com:443", "127.0.0.1:8000", "localhost"):
        assert visitor.get("/login", headers={"Host": host}).status_code == 200, host
    for host in ("evil.example", "inbox.example.com.evil.example", "evil.example:8000", "a b", "inbox.example.com@e"):
        for method, address in REQUESTS:
            answer = visitor.open(address, method=method, headers={"Host": host})
            assert answer.status_code == 400, (host, address)
            assert host not in answer.text
            assert "Content-Security-Policy" in answer.headers


SPELLINGS = ("inbox.example.com", "INBOX.Example.COM", "inbox.example.com.", "Inbox.example.com.:443")


@pytest.mark.parametrize("configured", ["inbox.example.com", "other.example, Inbox.Example.COM.:8443"])
@pytest.mark.parametrize("host", SPELLINGS)
def test_a_trusted_host_may_be_spelled_differently(
    sqlite_database: str, redis_server: str, monkeypatch: pytest.MonkeyPatch, configured: str, host: str
) -> None:
    monkeypatch.setenv("TRUSTED_HOSTS", configured)
    chosen = {"nametag_env": "production", "trusted_hosts": settings.load().trusted_hosts}
    visitor = a_visitor(sqlite_database, redis_server, **chosen)
    assert visitor.get("/login", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["10.0.0.5", "10.0.0.5:8000", "evil.example", "a b", "", None])
def test_health_checks_are_answered_under_every_host(sqlite_database: str, redis_server: str, host: str | None) -> None:
    visitor = a_visitor(sqlite_database, redis_server, nametag_env="production", trusted_hosts=("inbox.example.com",))
    environ = EnvironBuilder(path="/healthz").get_environ() | {"HTTP_HOST": host}
    if host is None:
        del environ["HTTP_HOST"]
    body, status, _ = run_wsgi_app(visitor.application, environ)
    assert (status, b"".join(body)) == ("200 OK", b"ok")


@pytest.mark.parametrize("header", ["Origin", "Referer"])
def test_a_change_must_come_from_the_same_host_and_port(sqlite_database: str, redis_server: str, header: str) -> None:
    visitor = a_visitor(sqlite_database, redis_server)
    for host, origin, status in (
        ("inbox.example.com", "http://inbox.example.com", 303),
        ("inbox.example.com", "https://inbox.example.com", 303),
        ("INBOX.example.com.", "http://inbox.example.com.", 303),
        ("inbox.example.com:443", "https://inbox.example.com", 303),
        ("inbox.example.com:80", "http://inbox.example.com/", 303),
        ("inbox.example.com:8443", "https://inbox.example.com:8443", 303),
        ("inbox.example.com:8443", "https://inbox.example.com", 403),
        ("inbox.example.com", "https://inbox.example.com.evil.example", 403),
        ("inbox.example.com", "null", 403),
        ("inbox.example.com", "http://[", 403),
    ):
        answer = visitor.post("/settings/theme", headers={"Host": host, header: origin})
        assert answer.status_code == status, (host, origin)


def test_a_header_that_is_no_url_is_ignored(app: Flask) -> None:
    broken = "http://["
    client = signed_in(app)
    assert client.get("/inbox", headers={"HX-Request": "true", "HX-Current-URL": broken}).status_code == 200
    ended = app.test_client().get("/inbox", headers={"HX-Request": "true", "HX-Current-URL": broken})
    assert (ended.status_code, ended.headers["HX-Redirect"]) == (401, "/login")


def test_without_a_list_production_answers_to_this_machine_alone(sqlite_database: str, redis_server: str) -> None:
    visitor = a_visitor(sqlite_database, redis_server, nametag_env="production")
    assert visitor.get("/login", headers={"Host": "127.0.0.1:8000"}).status_code == 200
    assert visitor.get("/login", headers={"Host": "inbox.example.com"}).status_code == 400


def test_what_a_stranger_forwards_is_ignored_unless_there_are_proxies(sqlite_database: str, redis_server: str) -> None:
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "evil.example"}
    direct = a_visitor(sqlite_database, redis_server).get("/inbox", headers=forwarded)
    assert "Strict-Transport-Security" not in direct.headers
    behind = a_visitor(sqlite_database, redis_server, proxy_hops=1).get("/inbox", headers=forwarded)
    assert "Strict-Transport-Security" in behind.headers
    for answer in (direct, behind):
        assert answer.location == "/login"
        assert "evil" not in str(answer.headers)


@pytest.mark.parametrize("hops", [0, 1])
def test_rotating_addresses_does_not_escape_the_throttle(
    sqlite_database: str, redis_server: str, hops: int, redis: object
) -> None:
    chosen = {"database_url": sqlite_database, "redis_url": redis_server, "proxy_hops": hops}
    with settings.using(**chosen), databases.app_context_of(create_app()) as app:
        users.add_user(OPERATOR, NADIA, role=Role.AGENT, password=PASSWORD)
        visitor, seen = app.test_client(), set()
        for number in range(7):
            rotating = {"X-Forwarded-For": f"198.51.100.{number}, 192.0.2.9"}
            seen.add(sign_in(visitor, NADIA, "not the password", headers=rotating).status_code)
    assert seen == {401, 429}


@pytest.mark.parametrize(
    ("forwarded", "stored"),
    [
        ("x" * 400, ""),
        ("198.51.100.7\x00", ""),
        ("fe80::1%" + "x" * 99, "fe80::1"),
        ("2001:0db8:0000:0000:0000:ffff:192.0.2.128", "2001:db8::ffff:c000:280"),
        ("198.51.100.7:50412", "198.51.100.7"),
        ("[2001:db8::7]:50412", "2001:db8::7"),
    ],
)
def test_a_forwarded_address_is_stored_as_a_valid_ip_address_or_none(
    database: str, redis: Redis, forwarded: str, stored: str
) -> None:
    with settings.using(database_url=database, proxy_hops=1), databases.app_context_of(create_app()) as app:
        users.add_user(OPERATOR, NADIA, role=Role.AGENT, password=PASSWORD)
        headers = {"X-Forwarded-For": forwarded}
        assert sign_in(app.test_client(), NADIA, headers=headers).status_code == 303
        token = {"Authorization": f"Bearer {api_tokens.create(OPERATOR, 'crm', ['read'])}"}
        assert app.test_client().get("/api/jobs", headers=headers | token).status_code == 200
        for action in (audit.Action.SIGNED_IN, audit.Action.TOKEN_USED):
            [entry], _ = audit.page(OPERATOR, audit.AuditFilter(action=action))
            assert entry.address == stored


OVERRIDES = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override")


@pytest.mark.parametrize("header", OVERRIDES)
def test_no_header_overrides_the_method(app: Flask, header: str) -> None:
    client = signed_in(app)
    click(client, "/settings/theme", htmx=False, theme="dark", _method="DELETE")
    assert client.get("/logout", headers={header: "POST"}).status_code == 405
    assert client.get("/inbox", headers={header: "DELETE"}).status_code == 200


@pytest.mark.parametrize("header", ["X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Prefix", "X-Script-Name"])
def test_no_header_overrides_the_address(app: Flask, header: str) -> None:
    client = signed_in(app, Role.AGENT)
    assert client.get("/inbox", headers={header: "/audit"}).status_code == 200
    assert client.get("/audit", headers={header: "/inbox"}).status_code == 403


def test_trace_is_not_answered(app: Flask) -> None:
    client = signed_in(app)
    for rule in app.url_map.iter_rules():
        assert "TRACE" not in (rule.methods or ())
    assert client.open("/inbox", method="TRACE").status_code == 405
