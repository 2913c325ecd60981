"""Which media a browser may load straight from Meta: https and MEDIA_HOSTS only, decided on the parsed address."""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

URL_CHARACTERS = 4_000
# What a parser of ours and a browser's could read differently is refused before it is parsed (reliability.md M17).
_PLAIN = re.compile(r"[!#-\[\]-_a-z~]+", re.ASCII)
_HOST = re.compile(r"[a-z0-9.-]+", re.ASCII)


def loadable(url: str | None, media_hosts: Iterable[str]) -> str | None:
    """Return `url` if a page may show it, else None; an entry of `media_hosts` with a port allows plain HTTP to it."""
    if not url or len(url) > URL_CHARACTERS or not _PLAIN.fullmatch(url):
        return None
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    if "@" in parts.netloc or not _HOST.fullmatch(host):
        return None
    allowed = tuple(entry.lower() for entry in media_hosts)
    if parts.scheme == "http":
        return url if port and f"{host}:{port}" in allowed else None
    ours = any(host == entry or host.endswith(f".{entry}") for entry in allowed)
    return url if parts.scheme == "https" and port in (None, 443) and ours else None
