"""How ids and times are written for programs: ids as strings, times as RFC 3339 in UTC."""

import re
from datetime import datetime

from app.errors import NotFound

_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)


def number(written: str, what: str) -> int:
    """Return one of our ids; raises NotFound for what cannot be one."""
    if not _NUMBER.fullmatch(written):
        raise NotFound(what)
    return int(written)


def time(at: datetime | None) -> str | None:
    """Return an aware UTC time as programs read it."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z") if at else None
