"""Connections to PostgreSQL: through poolers, to read-only servers, to databases of another encoding."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import URL, text

from app import settings
from app.db import transaction
from app.db.engine import db
from app.factory import create_app
from app.users import people
from app.viewer import OPERATOR, Role
from tests.bed import databases, pgbouncer, postgresql
from tests.bed.browser import Browser
from tests.bed.processes import Processes
from tests.web.browsing import PASSWORD, signed_in

LIMITS = "SELECT current_setting('lock_timeout') || ' ' || current_setting('statement_timeout') || ' ' || "
LIMITS += "current_setting('TimeZone') || ' ' || current_setting('plan_cache_mode')"


@pytest.fixture(params=["refuses options", "drops options"])
def pooled(request: pytest.FixtureRequest, postgresql_database: URL, redis: Redis) -> Iterator[Flask]:
    """The app on an empty database behind a transaction pooler."""
    postgresql.empty(postgresql_database)
    ignored = {"ignore_startup_parameters": "options"} if request.param == "drops options" else {}
    with (
        pgbouncer.in_front_of(postgresql_database, **ignored) as url,
        settings.using(database_url=databases.address(url)),
        databases.opened(create_app()) as app,
    ):
        app.test_client_class = Browser
        yield app


def test_pages_and_changes_work_behind_a_transaction_pooler(pooled: Flask) -> None:
    client = signed_in(pooled, Role.OPS)
    with ExitStack() as transactions:  # each of them has a server connection of its own
        for _ in range(pgbouncer.CONNECTIONS):
            transactions.enter_context(db.engine.connect()).execute(text("SELECT 1"))
    for number in range(20):
        assert client.get("/inbox").status_code == 200
        people.add(OPERATOR, f"agent{number}@example.com", role=Role.AGENT, password=PASSWORD)
    servers = set()
    with db.engine.connect() as connection:
        for _ in range(20):
            servers.add(connection.scalar(text("SELECT pg_backend_pid()")))
            connection.commit()
    assert len(servers) > 1


def test_each_transaction_behind_a_pooler_has_its_limits(pooled: Flask) -> None:
    for _ in range(2 * pgbouncer.CONNECTIONS):
        with db.engine.connect() as connection:
            assert connection.scalar(text(LIMITS)) == "2s 5s UTC force_generic_plan"
        with transaction.write() as tx:
            assert tx.execute(text(LIMITS)).scalar() == "2s 5s UTC force_generic_plan"


@pytest.fixture
def blank_pooled_url(postgresql_url: URL) -> Iterator[URL]:
    """The URL of a database without a single table behind a transaction pooler."""
    postgresql.drop(postgresql_url, "blank_pooled")
    with pgbouncer.in_front_of(postgresql.create(postgresql_url, "blank_pooled")) as url:
        yield url
    postgresql.drop(postgresql_url, "blank_pooled")


def test_commands_work_behind_a_transaction_pooler(blank_pooled_url: URL, processes: Processes, redis: Redis) -> None:
    processes.variables["DATABASE_URL"] = databases.address(blank_pooled_url)
    upgrades = [processes.start("db", "upgrade") for _ in range(2)]
    assert [upgrade.wait(60) for upgrade in upgrades] == [0, 0]
    assert "PostgreSQL, reachable and migrated" in processes.nametag("doctor").stdout
