"""Fetching a picture: from a checked address, without redirects, within five seconds and 2 MiB (reliability.md S35)."""

from collections.abc import Iterable

import urllib3
from urllib3.exceptions import HTTPError

from app import clock
from app.instagram import addresses
from app.instagram.addresses import Resolve, Target

MOST_BYTES = 2 * 1024 * 1024
SECONDS, CONNECT_SECONDS = 5.0, 2.0
_PIECE = 16 * 1024


class NoPicture(Exception):
    """Nothing was brought; the text says why."""


def fetch(url: str, media_hosts: Iterable[str], *, resolve: Resolve | None = None) -> bytes:
    """Return what stands at `url`; raises NoPicture, and RefusedAddress before anything is sent."""
    target = addresses.target(url, media_hosts, resolve=resolve)
    deadline = clock.monotonic() + SECONDS
    pool = _pool(target)
    try:
        answer = pool.urlopen(
            "GET",
            target.path,
            headers={"Host": target.host if target.tls else f"{target.host}:{target.port}", "Accept": "image/*"},
            redirect=False,
            preload_content=False,
            decode_content=False,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=CONNECT_SECONDS),
        )
        if answer.status != 200:
            raise NoPicture(f"the answer was {answer.status}")
        return _read(answer, deadline)
    except (HTTPError, OSError) as error:
        raise NoPicture(f"it could not be fetched ({type(error).__name__})") from None
    finally:
        pool.close()


def _pool(target: Target) -> urllib3.HTTPConnectionPool:
    if not target.tls:
        return urllib3.HTTPConnectionPool(target.address, target.port, retries=False)
    return urllib3.HTTPSConnectionPool(
        target.address, target.port, retries=False, server_hostname=target.host, assert_hostname=target.host
    )


def _read(answer: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
    body = bytearray()
    while piece := answer.read1(_PIECE):
        body += piece
        if len(body) > MOST_BYTES:
            raise NoPicture("it is larger than 2 MiB")
        if clock.monotonic() > deadline:
            raise NoPicture("it took longer than five seconds")
    return bytes(body)
