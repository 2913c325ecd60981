"""A total deadline for sending: timeouts of libraries apply per read, so a slow server never reaches them."""

import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


class NotSent(Exception):
    """An alert was not sent. The text says why, without its first capital and its period."""


def within(seconds: float, work: Callable[[], Result], abort: Callable[[], None]) -> Result:
    """Return the result of `work`, which runs in a thread of its own, or raise what it raises.

    After `seconds`, calls `abort`, which must close the connection so that the thread ends, and raises NotSent.
    """
    results, errors = list[Result](), list[Exception]()

    def run() -> None:
        try:
            results.append(work())
        except Exception as error:  # raised by the waiting thread
            errors.append(error)

    thread = threading.Thread(target=run, name="alert", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        abort()
        raise NotSent(f"no response within {seconds:g} s")
    if errors:
        raise errors[0]
    return results[0]
