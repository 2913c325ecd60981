"""IDs of paths, which are strings to API clients."""

import re

from app.errors import NotFound

_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)


def number(written: str, what: str) -> int:
    """Return one of our ids; raises NotFound for what cannot be one."""
    if not _NUMBER.fullmatch(written):
        raise NotFound(what)
    return int(written)
