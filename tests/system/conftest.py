"""A complete installation for each test."""

from collections.abc import Callable, Sequence

import pytest

from app import settings
from app.queue import QUEUES
from tests.support import installation
from tests.support.installation import Installation
from tests.support.processes import Processes

Install = Callable[..., Installation]


@pytest.fixture
def install(processes: Processes, database: str, redis_server: str) -> Install:
    """Start Nametag with workers of these queues and a sandbox with these options, on each kind of database."""

    def start(*sandbox_options: str, redis_url: str = redis_server, queues: Sequence[str] = QUEUES) -> Installation:
        with settings.using(database_url=database, redis_url=redis_url) as chosen:
            return installation.started(processes, chosen, *sandbox_options, queues=queues)

    return start
