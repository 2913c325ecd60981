"""Which of the URLs that Meta sends may be used: media that a browser loads, links that an API client follows."""

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


def web_url(url: str, media_hosts: Iterable[str]) -> str | None:
    """Return `url` if API clients may follow it, else None: a media URL, or any other of a public http(s) host."""
    return loadable(url, media_hosts) or (url if addresses.is_public(url) else None)
