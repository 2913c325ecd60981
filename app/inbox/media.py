"""Which of the URLs that Meta sends may be used: media that a browser loads, links that an API client follows."""

from collections.abc import Iterable

from app.instagram import media_urls
from app.instagram.media_urls import RefusedUrl


def loadable(url: str | None, media_hosts: Iterable[str]) -> str | None:
    """Return `url` if a page may show it, else None; an entry of `media_hosts` with a port allows plain HTTP to it."""
    try:
        media_urls.parse_allowed(url or "", media_hosts)
    except RefusedUrl:
        return None
    return url


def web_url(url: str, media_hosts: Iterable[str]) -> str | None:
    """Return `url` if API clients may follow it, else None: a media URL, or any other of a public http(s) host."""
    return loadable(url, media_hosts) or (url if media_urls.is_public(url) else None)
