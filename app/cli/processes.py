"""What `nametag web`, `worker` and `scheduler` check before they start."""

import os
from collections.abc import Callable

from flask import Flask

from app import logs, redis_checks
from app.cli import database

DRAIN_SECONDS = 10  # running requests may finish when the web server stops


def prepare(create: Callable[[], Flask]) -> Flask:
    """Create the app of a process that is about to start. Raises ClickException and Conflict if it must not start."""
    os.umask(0o077)
    logs.configure()
    app = create()
    database.require_current(app)
    redis_checks.require_ours()
    return app
