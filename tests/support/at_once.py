"""Do the same in several threads at the same time, as several schedulers or requests do."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from flask import Flask

from app.db.engine import db

Result = TypeVar("Result")


def at_once(app: Flask, times: int, do: Callable[[], Result]) -> list[Result]:
    """Call `do` in as many threads, each in an app context and a database session of its own; return the results."""
    barrier = threading.Barrier(times)

    def one(_: int) -> Result:
        with app.app_context():
            barrier.wait()
            try:
                return do()
            finally:
                db.session.remove()

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(one, range(times)))
