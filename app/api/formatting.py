"""IDs of paths, which are strings to API clients."""

from app.errors import NotFound
from app.text import ROW_NUMBER


def number(written: str, what: str) -> int:
    """Return one of our ids; raises NotFound for what cannot be one."""
    if not ROW_NUMBER.fullmatch(written):
        raise NotFound(what)
    return int(written)
