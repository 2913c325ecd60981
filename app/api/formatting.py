"""IDs in paths, which are strings in the API."""

import re

from app.errors import NotFound

_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)


def number(written: str, what: str) -> int:
    """Return a row ID from a path. Raises NotFound with `what` for a malformed one."""
    if not _NUMBER.fullmatch(written):
        raise NotFound(what)
    return int(written)
