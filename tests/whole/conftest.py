"""Everything at once: each test has an installation of its own."""

from collections.abc import Callable

import pytest

from app import settings
from tests.bed import installation
from tests.bed.installation import Installation
from tests.bed.processes import Processes

Install = Callable[..., Installation]


@pytest.fixture
def install(processes: Processes, database: str, redis_server: str) -> Install:
    """Starts Nametag and a sandbox with these options; on SQLite and PostgreSQL in turn."""

    def start(*sandbox_options: str, redis_url: str = redis_server) -> Installation:
        with settings.using(database_url=database, redis_url=redis_url) as chosen:
            return installation.started(processes, chosen, *sandbox_options)

    return start
