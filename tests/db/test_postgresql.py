"""Connections to PostgreSQL: through poolers, to read-only servers, to databases of another encoding."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import URL, text
from werkzeug.test import TestResponse

from app import doctor, settings
from app.db import transaction
from app.db.engine import db
from app.factory import create_app
from app.users import users
from app.viewer import OPERATOR, Role
from tests.cli.commands import nametag, refused
from tests.factories import a_delivery, a_message_event, an_account
from tests.support import databases, pgbouncer, postgresql
from tests.support.processes import Processes
from tests.support.web_client import WebClient
from tests.support.webhooks import post_webhook
from tests.web.browsing import PASSWORD, sign_in, signed_in

LIMITS = "SELECT current_setting('lock_timeout') || ' ' || current_setting('statement_timeout') || ' ' || "
LIMITS += "current_setting('TimeZone') || ' ' || current_setting('plan_cache_mode') || ' ' || "
LIMITS += "current_setting('max_parallel_workers_per_gather') || ' ' || current_setting('jit')"
EXPECTED = "1s 5s UTC force_generic_plan 0 off"


@pytest.fixture(params=["refuses options", "drops options"])
def pooled(request: pytest.FixtureRequest, postgresql_database: URL, redis: Redis) -> Iterator[Flask]:
    """The app on an empty database, through a transaction pooler."""
    postgresql.empty(postgresql_database)
    ignored = {"ignore_startup_parameters": "options"} if request.param == "drops options" else {}
    with (
        pgbouncer.in_front_of(postgresql_database, **ignored) as url,
        settings.using(database_url=databases.address(url)),
        databases.app_context_of(create_app()) as app,
    ):
        app.test_client_class = WebClient
        yield app


def test_pages_and_changes_work_behind_a_transaction_pooler(pooled: Flask) -> None:
    client = signed_in(pooled, Role.OPS)
    with ExitStack() as transactions:  # each of them has a server connection of its own
        for _ in range(pgbouncer.CONNECTIONS):
            transactions.enter_context(db.engine.connect()).execute(text("SELECT 1"))
    for number in range(20):
        assert client.get("/inbox").status_code == 200
        users.add_user(OPERATOR, f"agent{number}@example.com", role=Role.AGENT, password=PASSWORD)
    servers = set()
    with db.engine.connect() as connection:
        for _ in range(20):
            servers.add(connection.scalar(text("SELECT pg_backend_pid()")))
            connection.commit()
    assert len(servers) > 1


def test_each_transaction_behind_a_pooler_has_its_limits(pooled: Flask) -> None:
    for _ in range(2 * pgbouncer.CONNECTIONS):
        with db.engine.connect() as connection:
            assert connection.scalar(text(LIMITS)) == EXPECTED
        with transaction.write() as tx:
            assert tx.execute(text(LIMITS)).scalar() == EXPECTED


@pytest.fixture
def blank_pooled_url(postgresql_url: URL) -> Iterator[URL]:
    """The URL of an empty database, through a transaction pooler."""
    postgresql.drop(postgresql_url, "blank_pooled")
    with pgbouncer.in_front_of(postgresql.create(postgresql_url, "blank_pooled")) as url:
        yield url
    postgresql.drop(postgresql_url, "blank_pooled")


def test_commands_work_behind_a_transaction_pooler(blank_pooled_url: URL, processes: Processes, redis: Redis) -> None:
    processes.variables["DATABASE_URL"] = databases.address(blank_pooled_url)
    upgrades = [processes.start("db", "upgrade") for _ in range(2)]
    assert [upgrade.wait(60) for upgrade in upgrades] == [0, 0]
    assert "PostgreSQL, reachable, schema up to date" in processes.nametag("doctor").stdout


@pytest.fixture
def direct(postgresql_database: URL, redis: Redis) -> Iterator[Flask]:
    """The app on an empty PostgreSQL database."""
    postgresql.empty(postgresql_database)
    with (
        settings.using(database_url=databases.address(postgresql_database)),
        databases.app_context_of(create_app()) as app,
    ):
        app.test_client_class = WebClient
        yield app


def test_a_connection_has_the_same_limits_without_a_pooler(direct: Flask) -> None:
    with db.engine.connect() as connection:
        assert connection.scalar(text(LIMITS)) == EXPECTED


@pytest.fixture
def read_only(direct: Flask, postgresql_url: URL, postgresql_database: URL) -> Iterator[Callable[[bool], None]]:
    """Turns the database of `direct` read-only, as after a failover, and back, which leaves connections open."""

    def turn(on: bool) -> None:
        postgresql.run(postgresql_url, f"ALTER DATABASE nametag_tests SET default_transaction_read_only = {on}")
        if on:
            postgresql.disconnect_others(postgresql_database)

    yield turn
    postgresql.run(postgresql_url, "ALTER DATABASE nametag_tests RESET ALL")


def deliver(client: FlaskClient) -> TestResponse:
    body = a_delivery(a_message_event())
    return post_webhook(client, body)


def test_a_read_only_database_is_unavailable_until_it_accepts_changes(
    direct: Flask, read_only: Callable[[bool], None]
) -> None:
    an_account()
    users.add_user(OPERATOR, "nadia@example.com", role=Role.AGENT, password=PASSWORD)
    client = direct.test_client()
    assert deliver(client).status_code == 200
    read_only(True)
    for _ in range(2):
        refused = deliver(client)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    page = sign_in(client, "nadia@example.com")
    assert (page.status_code, page.headers["Retry-After"]) == (503, "5")
    assert "The database is not available right now. Nothing was changed." in page.text
    assert [each.fix for each in doctor.examine(OPERATOR) if each.check == "database"] == [
        "After a failover, check that DATABASE_URL points to the primary server. Otherwise check its disk space."
    ]
    read_only(False)
    deliver(client)  # may still find a connection that was opened in the meantime, which this discards
    assert deliver(client).status_code == 200
    assert sign_in(client, "nadia@example.com").status_code == 303


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
@pytest.mark.parametrize("command", [("db", "upgrade"), ("web",), ("worker",), ("account", "list")])
def test_a_database_of_another_encoding_is_refused_before_anything_is_made(
    postgresql_url: URL, redis: Redis, encoding: str, command: tuple[str, ...]
) -> None:
    postgresql.drop(postgresql_url, "encoded")
    made = f"CREATE DATABASE encoded ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
    postgresql.run(postgresql_url, made)
    url = postgresql_url.set(database="encoded")
    try:
        with settings.using(database_url=databases.address(url)):
            line = refused(nametag(*command), status=2)
            found = [each for each in json.loads(nametag("doctor", "--json").stdout) if each["check"] == "database"]
        assert line.startswith(f"Error: DATABASE_URL must name a database with the encoding UTF8, not {encoding}.")
        assert [f"Error: {each['message']}" for each in found] == [line]
        postgresql.run(url, "DO $$ BEGIN ASSERT NOT EXISTS (SELECT FROM pg_tables WHERE schemaname = 'public'); END $$")
    finally:
        postgresql.drop(postgresql_url, "encoded")


def test_a_password_with_special_characters_works_when_it_is_encoded(processes: Processes, redis: Redis) -> None:
    with postgresql.own_server() as server:
        postgresql.run(server, "CREATE ROLE nametag SUPERUSER LOGIN PASSWORD 'p@ss/w%rd#1'")
        postgresql.require_passwords(server)
        url = f"postgresql://nametag:p%40ss%2Fw%25rd%231@/postgres?host={server.query['host']}"
        upgraded = processes.nametag("db", "upgrade", DATABASE_URL=url)
        assert (upgraded.returncode, upgraded.stdout) == (0, "The database schema is up to date.\n"), upgraded.stderr
        wrong = processes.nametag("db", "upgrade", DATABASE_URL=url.replace("231", "232"))
        assert (wrong.returncode, "p%40ss" in wrong.stderr, "Traceback" in wrong.stderr) == (1, False, False)
