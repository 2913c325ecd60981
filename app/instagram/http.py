"""HTTP client with a total deadline that covers DNS, connection, headers and body.

The timeout of requests applies per read, so a response that arrives byte by byte never reaches it. Each exchange
therefore runs in a thread of its own, whose socket is shut down at the deadline.
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
_CURRENT = threading.local()


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A response: header names in lower case, the body uncompressed."""

    http_status: int
    headers: Mapping[str, str]
    body: bytes


def get(
    url: str, *, parameters: Mapping[str, str], headers: Mapping[str, str], seconds: float, most_bytes: int
) -> HttpResponse:
    """Return the response to one GET, whatever its status; uses no redirect, proxy, cookie or netrc.

    Raises GraphAPIError: NETWORK without a complete response within `seconds`, CONTRACT if the response is broken or
    larger than `most_bytes`. Errors of the libraries are not raised, because they quote URLs.
    """
    return _run_exchange(_Exchange("GET", url, parameters, headers, seconds, most_bytes), seconds)


def post(
    url: str,
    *,
    parameters: Mapping[str, str],
    headers: Mapping[str, str],
    seconds: float,
    most_bytes: int,
    form: Mapping[str, str] | None = None,
) -> HttpResponse:
    """Return the response to one POST, its body a form or empty; otherwise as `get`."""
    return _run_exchange(_Exchange("POST", url, parameters, headers, seconds, most_bytes, form), seconds)


def _run_exchange(exchange: "_Exchange", seconds: float) -> HttpResponse:
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
        _CURRENT.exchange = self
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
        except Exception as fault:  # classified by the waiting thread
            self.fault = fault
        finally:
            self._socket = None

    def abandon(self) -> None:
        """Shut down the socket of an exchange that is still running; do nothing if it has ended."""
        self._abandoned = True
        held = self._socket
        if held is not None and self.is_alive():
            try:
                socket.shutdown(held, SHUT_RDWR)  # SSLSocket.shutdown would wait for its peer
            except OSError:
                return

    def watch(self, held: socket | None) -> None:
        """Remember the socket of this exchange; raises TimeoutError if the exchange was abandoned."""
        self._socket = held
        if self._abandoned:
            raise TimeoutError

    def _body(self, raw: HTTPResponse) -> bytes:
        body = bytearray()
        while chunk := raw.read(CHUNK_BYTES, decode_content=True):
            body += chunk
            if len(body) > self._most_bytes:
                raise bad_response("too_large", f"Instagram's response is larger than {self._most_bytes / 2**20:g} MiB")
        return bytes(body)


class _Watched(HTTPConnection):
    def connect(self) -> None:
        super().connect()
        _CURRENT.exchange.watch(self.sock)

    def getresponse(self) -> Any:
        _CURRENT.exchange.watch(self.sock)
        return super().getresponse()


class _WatchedTls(_Watched, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Watched


class _PoolTls(HTTPSConnectionPool):
    ConnectionCls = _WatchedTls


class _NoRedirectSession(Session):
    def get_redirect_target(self, resp: Response) -> str | None:  # noqa: ARG002 - requests' signature
        return None  # else requests reads the whole body of a redirect, however large


@lru_cache(maxsize=1)
def _session(_pid: int) -> Session:
    session = _NoRedirectSession()
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
        return GraphAPIError(Scope.NETWORK, Reason.NETWORK, _network_code(cause))
    return bad_response("broken")


def _innermost(error: BaseException) -> BaseException:
    while error.__context__ is not None:
        error = error.__context__
    return error


def _network_code(cause: OSError) -> str:
    codes = {gaierror: "dns", ssl.SSLError: "tls", ConnectionRefusedError: "refused", ConnectionError: "reset"}
    return next((code for kind, code in codes.items() if isinstance(cause, kind)), "network")
