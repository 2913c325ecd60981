"""Which addresses of pictures may be loaded or fetched, and from which machine: decided before anything is sent.

What a stranger controls is never resolved twice: the connection goes to the very address that was checked.
"""

import ipaddress
import re
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qs

from app import clock
from app.text import URL_CHARACTERS, split_url

# What two parsers could read differently is refused before it is parsed (reliability.md M17).
_PLAIN = re.compile(r"[!#-\[\]-_a-z~]+", re.ASCII)
_TIME = re.compile(r"[0-9A-Fa-f]{8}", re.ASCII)
_HOST = re.compile(r"[a-z0-9.-]+", re.ASCII)
# A last label that begins with a letter: no form of an IP address does.
_PUBLIC_HOST = re.compile(r"(?:[a-z0-9_-]+\.)+(?!(?:local|localhost|internal|lan)$)[a-z][a-z0-9-]*", re.ASCII)
# Plain HTTP goes to a machine that no name server chooses: a literal address or this one (reliability.md S35).
SANDBOX_HOST = re.compile(r"localhost|\d{1,3}(\.\d{1,3}){3}", re.ASCII)
# Our own list: Python 3.11 calls several of these public (reliability.md M17, S35).
_CLOSED = tuple(
    ipaddress.ip_network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
        *("203.0.113.0/24", "224.0.0.0/3", "::/96", "::ffff:0:0/96", "64:ff9b::/32", "2002::/16", "2001::/23"),
        *("2001:db8::/32", "fc00::/7", "fe80::/9", "ff00::/8"),
    )
)
Resolve = Callable[[str, int], Sequence[str]]


class RefusedUrl(Exception):
    """An address from which no picture is fetched; the text says why."""


@dataclass(frozen=True, slots=True)
class ResolvedUrl:
    """What a picture's URL says, read once: the scheme, the machine's name and port, and what to ask it for."""

    tls: bool
    host: str
    port: int
    path: str


def resolve_public(url: str, media_hosts: Iterable[str]) -> ResolvedUrl:
    """Return what an allowed `url` says: https and a host of `media_hosts`, or plain HTTP to one of its `host:port`.

    Raises RefusedAddress for every other scheme, host, port or form; nothing is looked up.
    """
    if len(url) > URL_CHARACTERS or not _PLAIN.fullmatch(url):
        raise RefusedUrl("it has characters that no address needs")
    parts = split_url(url)
    if parts is None:
        raise RefusedUrl("it cannot be read")
    host, port = parts.hostname or "", parts.port
    if "@" in parts.netloc or not _HOST.fullmatch(host):
        raise RefusedUrl("its host is not plain")
    path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    allowed = tuple(entry.lower() for entry in media_hosts)
    if parts.scheme == "http" and port and f"{host}:{port}" in allowed and SANDBOX_HOST.fullmatch(host):
        return ResolvedUrl(False, host, port, path)
    if parts.scheme != "https" or port not in (None, 443):
        raise RefusedUrl("it is neither https nor one of the exact addresses that are allowed")
    if not any(host == entry or host.endswith(f".{entry}") for entry in allowed):
        raise RefusedUrl("its host is not one of MEDIA_HOSTS")
    return ResolvedUrl(True, host, 443, path)


def is_public(url: str) -> bool:
    """Return whether `url` is a plain http(s) URL that names a public host and carries no credentials.

    The name is not looked up.
    """
    if len(url) > URL_CHARACTERS or not _PLAIN.fullmatch(url):
        return False
    parts = split_url(url)
    if parts is None or parts.scheme not in ("http", "https") or "@" in parts.netloc:
        return False
    return bool(_PUBLIC_HOST.fullmatch(parts.hostname or ""))


def checked_url(place: ResolvedUrl, *, resolve: Resolve | None = None) -> str:
    """Return the address to connect to for a place; raises RefusedAddress for a name that leads to a closed network.

    Only the sandbox's own literal address, or localhost, may be closed (reliability.md S35).
    """
    if not place.tls:
        return place.host
    found = (resolve or _resolved_addresses)(place.host, place.port)
    if not found or not all(map(is_open, found)):
        raise RefusedUrl("its name does not lead to the public internet alone")
    return found[0]


def expires_at(url: str) -> datetime | None:
    """Return when a picture's address ends (aware UTC), as `oe` says in hexadecimal (instagram-platform.md 7)."""
    parts = split_url(url)
    told = parse_qs(parts.query).get("oe", [""])[0] if parts else ""
    return clock.from_timestamp(int(told, 16)) if _TIME.fullmatch(told) else None


def is_open(address: str) -> bool:
    """Return whether an IP address belongs to the public internet."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return not any(parsed.version == closed.version and parsed in closed for closed in _CLOSED)


def _resolved_addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise RefusedUrl("its name leads nowhere") from None
    return [str(each[4][0]) for each in found]
