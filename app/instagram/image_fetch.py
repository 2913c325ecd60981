"""Fetch a picture from an allowed URL: no redirects, at most 5 s and 2 MiB.

The exchange runs in a child process, because a slow DNS lookup, TLS handshake or header cannot be stopped in a thread.
"""

from collections.abc import Iterable

import urllib3
from urllib3.exceptions import HTTPError

from app import isolation
from app.instagram import media_urls
from app.instagram.media_urls import AllowedUrl, RefusedUrl, Resolve

MOST_BYTES = 2 * 1024 * 1024
SECONDS = 5.0  # DNS, connection, TLS, headers and body together
STEP_SECONDS = 2.0  # for the connection, and for each read
MOST_MEMORY = 64 * 1024 * 1024
_CHUNK_BYTES = 16 * 1024


class NoImage(Exception):
    """The picture could not be fetched; the text says why."""


def fetch(url: str, media_hosts: Iterable[str], *, resolve: Resolve | None = None) -> bytes:
    """Return the bytes at `url`, at most MOST_BYTES within SECONDS; raises NoImage.

    A URL that is not allowed is refused before any DNS lookup or request.
    """
    try:
        target = media_urls.parse_allowed(url, media_hosts)
        return isolation.run(lambda: _fetch(target, resolve), seconds=SECONDS, most_memory=MOST_MEMORY)
    except (RefusedUrl, isolation.Failed) as reason:
        raise NoImage(str(reason)) from None


def _fetch(target: AllowedUrl, resolve: Resolve | None) -> bytes:
    try:
        pool = _pool(target, media_urls.resolve_public(target, resolve=resolve))
        answer = pool.urlopen(
            "GET",
            target.path,
            headers={"Host": target.host if target.tls else f"{target.host}:{target.port}", "Accept": "image/*"},
            redirect=False,
            preload_content=False,
            decode_content=False,
            timeout=urllib3.Timeout(connect=STEP_SECONDS, read=STEP_SECONDS),
        )
        if answer.status != 200:
            raise isolation.Failed(f"the server returned {answer.status}")
        return _read(answer)
    except RefusedUrl as reason:
        raise isolation.Failed(str(reason)) from None
    except (HTTPError, OSError) as error:
        raise isolation.Failed(f"it could not be fetched ({type(error).__name__})") from None


def _pool(target: AllowedUrl, ip_address: str) -> urllib3.HTTPConnectionPool:
    if not target.tls:
        return urllib3.HTTPConnectionPool(ip_address, target.port, retries=False)
    return urllib3.HTTPSConnectionPool(
        ip_address, target.port, retries=False, server_hostname=target.host, assert_hostname=target.host
    )


def _read(answer: urllib3.BaseHTTPResponse) -> bytes:
    body = bytearray()
    while chunk := answer.read1(_CHUNK_BYTES):
        body += chunk
        if len(body) > MOST_BYTES:
            raise isolation.Failed("it is larger than 2 MiB")
    return bytes(body)
