"""Row IDs in paths, which are strings in the API."""

from app.errors import NotFound
from app.text import ROW_NUMBER


def number(written: str, what: str) -> int:
    """Return a row ID from a path. Raises NotFound with `what` for a malformed one."""
    if not ROW_NUMBER.fullmatch(written):
        raise NotFound(what)
    return int(written)
