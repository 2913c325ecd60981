"""One request under a deadline that is total: name lookup, connection, headers and body. Knows nothing of Graph.

requests' own timeout is per read, and an answer that drips never reaches it (reliability.md M16). So the exchange runs
in a thread of its own, is waited for until the deadline, and then loses its socket.
"""

import os
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from http.cookiejar import DefaultCookiePolicy
from socket import SHUT_RDWR, gaierror, socket
from typing import Any

from requests import Response, Session
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPResponse, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from app.instagram.errors import GraphAPIError, Reason, Scope, bad_response

CHUNK_BYTES = 64 * 1024
_HEADERS = {"User-Agent": "nametag", "Accept": "application/json", "Accept-Encoding": "gzip"}
_HERE = threading.local()


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An answer as it came: header names in lower case, the body unpacked."""

    http_status: int
    headers: Mapping[str, str]
    body: bytes


def get(
    url: str, *, parameters: Mapping[str, str], headers: Mapping[str, str], seconds: float, most_bytes: int
) -> HttpResponse:
    """Return the answer to one GET, whatever its status; no redirect, proxy, cookie or netrc is ever used.

    Raises GraphAPIError: NETWORK when no complete response came within `seconds`, CONTRACT when the response is
    broken or larger than `most_bytes`. The libraries' own errors never get out: they quote addresses.
    """
    return _exchanged(_Exchange("GET", url, parameters, headers, seconds, most_bytes), seconds)


def post(
    url: str,
    *,
    parameters: Mapping[str, str],
    headers: Mapping[str, str],
    seconds: float,
    most_bytes: int,
    form: Mapping[str, str] | None = None,
) -> HttpResponse:
    """Return the answer to one POST, its body a form or empty; everything else is as with `get`."""
    return _exchanged(_Exchange("POST", url, parameters, headers, seconds, most_bytes, form), seconds)


def _exchanged(exchange: "_Exchange", seconds: float) -> HttpResponse:
    exchange.start()
    try:
        exchange.join(seconds)
        late = exchange.is_alive()
    finally:
        exchange.abandon()
    if exchange.answer is not None:
        return exchange.answer
    raise _failure(None if late else exchange.fault, seconds) from None


class _Exchange(threading.Thread):
    def __init__(
        self,
        method: str,
        url: str,
        parameters: Mapping[str, str],
        headers: Mapping[str, str],
        seconds: float,
        most_bytes: int,
        form: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(name="call", daemon=True)
        self._request = (method, url, parameters, headers, form)
        self._seconds = seconds
        self._most_bytes = most_bytes
        self._abandoned = False
        self._socket: socket | None = None
        self.answer: HttpResponse | None = None
        self.fault: Exception | None = None

    def run(self) -> None:
        _HERE.exchange = self
        method, url, parameters, headers, form = self._request
        try:
            with _session(os.getpid()).request(
                method,
                url,
                params=parameters,
                data=form,
                headers=headers,
                timeout=self._seconds,
                stream=True,
                allow_redirects=False,
            ) as response:
                lower = {name.lower(): value for name, value in response.headers.items()}
                self.answer = HttpResponse(response.status_code, lower, self._body(response.raw))
        except Exception as fault:  # judged by the thread that waits, whatever it is
            self.fault = fault
        finally:
            self._socket = None

    def abandon(self) -> None:
        """Take the socket from an exchange that is still going on; one that is over does not notice."""
        self._abandoned = True
        held = self._socket
        if held is not None and self.is_alive():
            try:
                socket.shutdown(held, SHUT_RDWR)  # not the TLS socket's own: that one would wait for its peer
            except OSError:
                return

    def watch(self, held: socket | None) -> None:
        """Remember the socket that this exchange goes over; raises TimeoutError when nobody waits for it any more."""
        self._socket = held
        if self._abandoned:
            raise TimeoutError

    def _body(self, raw: HTTPResponse) -> bytes:
        body = bytearray()
        while chunk := raw.read(CHUNK_BYTES, decode_content=True):
            body += chunk
            if len(body) > self._most_bytes:
                raise bad_response("too_large", "Instagram's answer is too large to be true")
        return bytes(body)


class _Watched(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        _HERE.exchange.watch(self.sock)

    def getresponse(self) -> Any:
        _HERE.exchange.watch(self.sock)
        return super().getresponse()


class _WatchedTls(_Watched, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Watched


class _PoolTls(HTTPSConnectionPool):
    ConnectionCls = _WatchedTls


class _OurSession(Session):
    def get_redirect_target(self, resp: Response) -> str | None:  # noqa: ARG002 - requests' signature
        return None  # else requests reads a redirect's whole body, however large, only to find out where it leads


@lru_cache(maxsize=1)
def _session(_pid: int) -> Session:
    session = _OurSession()
    session.trust_env = False
    session.headers.clear()
    session.headers.update(_HEADERS)
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    adapter = HTTPAdapter(max_retries=0)
    adapter.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _PoolTls}
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def _failure(fault: Exception | None, seconds: float) -> GraphAPIError:
    if isinstance(fault, GraphAPIError):
        return fault
    cause = _innermost(fault) if fault else TimeoutError()
    if isinstance(cause, TimeoutError):
        late = f"Instagram did not answer within {seconds:g} s"
        return GraphAPIError(Scope.NETWORK, Reason.TIMEOUT, "timeout", late)
    if isinstance(cause, OSError):
        return GraphAPIError(Scope.NETWORK, Reason.NETWORK, _word(cause))
    return bad_response("broken")


def _innermost(error: BaseException) -> BaseException:
    while error.__context__ is not None:
        error = error.__context__
    return error


def _word(cause: OSError) -> str:
    words = {gaierror: "dns", ssl.SSLError: "tls", ConnectionRefusedError: "refused", ConnectionError: "reset"}
    return next((word for kind, word in words.items() if isinstance(cause, kind)), "network")
