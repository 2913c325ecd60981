"""Fixtures for tests of commands."""

import pytest

from app import settings
from tests.support.processes import Processes


@pytest.fixture
def migrated(processes: Processes, sqlite_database: str, redis_server: str) -> Processes:
    """Starts commands on a migrated database and a Redis."""
    with settings.using(database_url=sqlite_database, redis_url=redis_server) as chosen:
        processes.share(chosen)
    return processes
