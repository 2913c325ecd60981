"""Which media a browser may load straight from Meta: by the rule that our own fetching keeps (reliability.md S37)."""

from collections.abc import Iterable

from app.instagram import addresses
from app.instagram.addresses import RefusedAddress


def loadable(url: str | None, media_hosts: Iterable[str]) -> str | None:
    """Return `url` if a page may show it, else None; an entry of `media_hosts` with a port allows plain HTTP to it."""
    try:
        addresses.place(url or "", media_hosts)
    except RefusedAddress:
        return None
    return url
