"""Check URLs of pictures before anything is sent: allowed hosts, and public IP addresses only.

A host name is resolved once: the connection goes to the IP address that was checked (no DNS rebinding).
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

# Refuse characters that two URL parsers can read differently.
_PLAIN = re.compile(r"[!#-\[\]-_a-z~]+", re.ASCII)
_TIME = re.compile(r"[0-9A-Fa-f]{8}", re.ASCII)
_HOST = re.compile(r"[a-z0-9.-]+", re.ASCII)
# The last label begins with a letter, which excludes every form of an IP address.
_PUBLIC_HOST = re.compile(r"(?:[a-z0-9_-]+\.)+(?!(?:local|localhost|internal|lan)$)[a-z][a-z0-9-]*", re.ASCII)
# Plain HTTP is for the sandbox: an IPv4 address or localhost, never a name from DNS.
SANDBOX_HOST = re.compile(r"localhost|\d{1,3}(\.\d{1,3}){3}", re.ASCII)
# Python 3.11 calls several of these networks public.
_PRIVATE_NETWORKS = tuple(
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
    """A URL that is not allowed for pictures; the text says why."""


@dataclass(frozen=True, slots=True)
class AllowedUrl:
    """An allowed URL, parsed once: TLS or not, host, port, and path with query."""

    tls: bool
    host: str
    port: int
    path: str


def parse_allowed(url: str, media_hosts: Iterable[str]) -> AllowedUrl:
    """Return the parts of an allowed `url`: https and a host of `media_hosts`, or plain HTTP to one of its `host:port`.

    Raises RefusedUrl for every other scheme, host, port or form. The host is not resolved.
    """
    if len(url) > URL_CHARACTERS or not _PLAIN.fullmatch(url):
        raise RefusedUrl("it has characters that are not allowed in a URL")
    parts = split_url(url)
    if parts is None:
        raise RefusedUrl("it is not a valid URL")
    host, port = parts.hostname or "", parts.port
    if "@" in parts.netloc or not _HOST.fullmatch(host):
        raise RefusedUrl("its host is not a plain host name")
    path = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
    allowed = tuple(entry.lower() for entry in media_hosts)
    if parts.scheme == "http" and port and f"{host}:{port}" in allowed and SANDBOX_HOST.fullmatch(host):
        return AllowedUrl(False, host, port, path)
    if parts.scheme != "https" or port not in (None, 443):
        raise RefusedUrl("it is neither an https URL nor an allowed host and port")
    if not any(host == entry or host.endswith(f".{entry}") for entry in allowed):
        raise RefusedUrl("its host is not one of MEDIA_HOSTS")
    return AllowedUrl(True, host, 443, path)


def is_public(url: str) -> bool:
    """Return whether `url` is a plain http(s) URL that names a public host and carries no credentials.

    The name is not resolved.
    """
    if len(url) > URL_CHARACTERS or not _PLAIN.fullmatch(url):
        return False
    parts = split_url(url)
    if parts is None or parts.scheme not in ("http", "https") or "@" in parts.netloc:
        return False
    return bool(_PUBLIC_HOST.fullmatch(parts.hostname or ""))


def resolve_public(target: AllowedUrl, *, resolve: Resolve | None = None) -> str:
    """Return the IP address to connect to; raises RefusedUrl if the host has an address that is not public.

    Only the sandbox (an IPv4 address or localhost) may be private.
    """
    if not target.tls:
        return target.host
    found = (resolve or _resolve)(target.host, target.port)
    if not found or not all(map(is_public_address, found)):
        raise RefusedUrl("its host name does not resolve to public IP addresses only")
    return found[0]


def expires_at(url: str) -> datetime | None:
    """Return when a picture's URL expires (aware UTC), None if unknown (docs/meta-platform.md#media-urls)."""
    parts = split_url(url)
    oe = parse_qs(parts.query).get("oe", [""])[0] if parts else ""
    return clock.from_timestamp(int(oe, 16)) if _TIME.fullmatch(oe) else None


def is_public_address(address: str) -> bool:
    """Return whether an IP address is public."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return not any(parsed.version == each.version and parsed in each for each in _PRIVATE_NETWORKS)


def _resolve(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise RefusedUrl("its host name cannot be resolved") from None
    return [str(each[4][0]) for each in found]
