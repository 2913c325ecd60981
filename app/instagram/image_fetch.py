"""Fetching a picture: from a checked address, without redirects, within five seconds in all and 2 MiB.

The exchange runs in a child, because only the kernel can end a name lookup, a TLS handshake or a header that drips
(reliability.md S35).
"""

from collections.abc import Iterable

import urllib3
from urllib3.exceptions import HTTPError

from app import isolation
from app.instagram import media_urls
from app.instagram.media_urls import RefusedUrl, Resolve, ResolvedUrl

MOST_BYTES = 2 * 1024 * 1024
SECONDS = 5.0  # name lookup, connection, TLS, headers and body together
STEP_SECONDS = 2.0  # connecting, and each wait for more
MOST_MEMORY = 64 * 1024 * 1024
_PIECE = 16 * 1024


class NoImage(Exception):
    """Nothing was brought; the text says why."""


def fetch(url: str, media_hosts: Iterable[str], *, resolve: Resolve | None = None) -> bytes:
    """Return what stands at `url`, at most MOST_BYTES within SECONDS; raises NoPicture.

    An address that is not allowed is refused before a name is looked up, and before anything is sent.
    """
    try:
        place = media_urls.resolve_public(url, media_hosts)
        return isolation.run(lambda: _brought(place, resolve), seconds=SECONDS, most_memory=MOST_MEMORY)
    except (RefusedUrl, isolation.Failed) as reason:
        raise NoImage(str(reason)) from None


def _brought(place: ResolvedUrl, resolve: Resolve | None) -> bytes:
    try:
        pool = _pool(place, media_urls.checked_url(place, resolve=resolve))
        answer = pool.urlopen(
            "GET",
            place.path,
            headers={"Host": place.host if place.tls else f"{place.host}:{place.port}", "Accept": "image/*"},
            redirect=False,
            preload_content=False,
            decode_content=False,
            timeout=urllib3.Timeout(connect=STEP_SECONDS, read=STEP_SECONDS),
        )
        if answer.status != 200:
            raise isolation.Failed(f"the answer was {answer.status}")
        return _read(answer)
    except RefusedUrl as reason:
        raise isolation.Failed(str(reason)) from None
    except (HTTPError, OSError) as error:
        raise isolation.Failed(f"it could not be fetched ({type(error).__name__})") from None


def _pool(place: ResolvedUrl, address: str) -> urllib3.HTTPConnectionPool:
    if not place.tls:
        return urllib3.HTTPConnectionPool(address, place.port, retries=False)
    return urllib3.HTTPSConnectionPool(
        address, place.port, retries=False, server_hostname=place.host, assert_hostname=place.host
    )


def _read(answer: urllib3.BaseHTTPResponse) -> bytes:
    body = bytearray()
    while piece := answer.read1(_PIECE):
        body += piece
        if len(body) > MOST_BYTES:
            raise isolation.Failed("it is larger than 2 MiB")
    return bytes(body)
