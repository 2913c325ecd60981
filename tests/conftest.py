"""Fixtures: servers for each test process, and a new migrated SQLite or PostgreSQL database for each test."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import URL

from tests.support import environment

DATA_DIR = environment.isolate()  # before any module reads a setting
pytest_plugins = ["tests.support.chromium"]
MOST_THREADS = 40  # of a test process between two modules

from app import clock, redis_client, settings  # noqa: E402
from app.supervisor import redis_server as private_redis  # noqa: E402
from app.supervisor.processes import Supervisor  # noqa: E402
from app.users import login_throttle  # noqa: E402
from tests.support import databases, postgresql  # noqa: E402
from tests.support.frozen_clock import FrozenClock  # noqa: E402
from tests.support.processes import Processes, Sandbox  # noqa: E402
from tests.support.shared_app import app_on  # noqa: E402


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let `make chaos` and `make calls` run more than the suite has time for."""
    parser.addoption("--events", type=int, default=500, help="deliveries while parts are killed at random")
    parser.addoption("--pages-every", type=int, default=18, help="simulated hours between two visits of all pages")
    parser.addoption("--bodies", type=int, default=5_000, help="mutated webhook bodies")
    parser.addoption("--calls", type=int, default=200, help="API calls generated from its OpenAPI document")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the slowest files first, so that no test process idles while another finishes them."""
    items.sort(key=lambda item: item.path.parent.name != "system")


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """The URL of a private Redis server of this test process."""
    supervisor = Supervisor(log=DATA_DIR / "redis.log", say=print)
    socket = settings.redis_socket_path(DATA_DIR)
    supervisor.start(private_redis.program(DATA_DIR, socket))
    try:
        supervisor.await_ready("redis")
        yield f"unix://{socket}?db=0"
    finally:
        supervisor.stop()


@pytest.fixture
def redis(redis_server: str) -> Iterator[Redis]:
    """The app's Redis client, on an empty server."""
    with settings.using(redis_url=redis_server):
        redis_client.reset()  # a client that just waited in vain fails immediately for a second
        login_throttle.reset()
        client = redis_client.client()
        client.flushall()
        yield client
        with redis_client.waiting_client() as another:
            another.flushall()  # the next test must not see data of this one


@pytest.fixture(autouse=True, scope="module")
def ended_threads() -> Iterator[None]:
    """Fail a test module that leaves threads behind: thousands of them make every later test of the process slow."""
    yield
    assert threading.active_count() < MOST_THREADS, sorted(thread.name for thread in threading.enumerate())


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[URL]:
    """The maintenance database of a PostgreSQL server of this test process; skips where there is none."""
    with postgresql.server() as url:
        yield url


@pytest.fixture(scope="session")
def postgresql_database(postgresql_url: URL) -> URL:
    """A migrated PostgreSQL database that tests use in turn."""
    return databases.migrated_database(postgresql_url)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file, to be copied."""
    return databases.migrated_file(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The DATABASE_URL of an empty migrated database; each test runs on both kinds."""
    if request.param == "sqlite":
        return databases.copy_of(request.getfixturevalue("sqlite_template"), tmp_path)
    url: URL = request.getfixturevalue("postgresql_database")
    postgresql.empty(url)
    return databases.address(url)


@pytest.fixture
def sqlite_database(sqlite_template: Path, tmp_path: Path) -> str:
    """The DATABASE_URL of an empty migrated SQLite file, for tests that do not depend on the database."""
    return databases.copy_of(sqlite_template, tmp_path)


@pytest.fixture(params=["sqlite", "postgresql"])
def blank_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The DATABASE_URL of a database without a single table, for tests of migrations."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'blank.sqlite3'}"
        return
    server: URL = request.getfixturevalue("postgresql_url")
    postgresql.drop(server, "blank")
    yield databases.address(postgresql.create(server, "blank"))
    postgresql.drop(server, "blank")


@pytest.fixture
def app(database: str, redis: Redis, tmp_path: Path) -> Iterator[Flask]:
    """The app on a real database and Redis, with its context pushed."""
    with (
        settings.using(database_url=database, nametag_data_dir=tmp_path),
        databases.app_context_of(app_on(database)) as app,
    ):
        yield app


@pytest.fixture
def frozen_clock(monkeypatch: pytest.MonkeyPatch) -> FrozenClock:
    """The clock of this process, stopped until the test moves it."""
    moved = FrozenClock()
    monkeypatch.setattr(clock, "now", moved.now)
    return moved


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser without JavaScript, not signed in; its requests run in contexts of their own."""
    return app.test_client()


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Start `nametag` commands and the sandbox; processes that still run are killed after the test."""
    with Processes(tmp_path) as started:
        yield started


@pytest.fixture
def sandbox(processes: Processes) -> Sandbox:
    """A sandbox process that sends nothing on its own and answers immediately."""
    return processes.sandbox()


@pytest.fixture
def meta(sandbox: Sandbox, app: Flask) -> Iterator[Sandbox]:
    """The sandbox that the app of this test calls instead of Meta."""
    with settings.using(**sandbox.settings):
        yield sandbox
