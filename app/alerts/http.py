"""Send signed HTTP requests to alert receivers: a total deadline, no redirects, no private addresses.

The host name is resolved once: the connection goes to the IP address that was checked (no DNS rebinding).
"""

import socket
from collections.abc import Mapping
from urllib.parse import SplitResult

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from app import settings, text
from app.alerts.deadline import NotSent, within
from app.instagram import media_urls

SECONDS = 10.0  # name resolution, connection, TLS, request and the head of the response together
STEP_SECONDS = 5.0


def post(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    """Return the HTTP status of a POST, whatever it is; the body of the response is not read.

    Raises NotSent, with the reason, without a response within SECONDS.
    """
    target = text.split_url(url)
    if target is None or not target.hostname:
        raise NotSent("the URL is not valid")
    open_connections = list[HTTPConnection]()
    return within(SECONDS, lambda: _post(target, body, headers, open_connections), lambda: _abort(open_connections))


def _post(target: SplitResult, body: bytes, headers: Mapping[str, str], connections: list[HTTPConnection]) -> int:
    host, tls = target.hostname or "", target.scheme == "https"
    try:
        port = target.port or (443 if tls else 80)
        connection = _connection(_resolve(host, port), port, host, tls=tls)
        connections.append(connection)
        path = f"{target.path or '/'}{f'?{target.query}' if target.query else ''}"
        connection.request("POST", path, body, {"Host": target.netloc, **headers}, preload_content=False)
        return connection.getresponse().status
    except (HTTPError, OSError, ValueError) as error:  # their texts may quote the URL
        raise NotSent(f"no response ({type(error).__name__})") from None
    finally:
        for each in connections:
            each.close()


def _connection(address: str, port: int, host: str, *, tls: bool) -> HTTPConnection:
    if not tls:
        return HTTPConnection(address, port, timeout=STEP_SECONDS)
    return HTTPSConnection(
        address, port, timeout=STEP_SECONDS, server_hostname=host, assert_hostname=host, cert_reqs="CERT_REQUIRED"
    )


def _resolve(host: str, port: int) -> str:
    try:
        found = [str(each[4][0]) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError):
        raise NotSent("its host name can't be resolved") from None
    if not settings.current().alert_private_addresses and not all(map(media_urls.is_public_address, found)):
        raise NotSent("its host name resolves to a private address")
    return found[0]


def _abort(connections: list[HTTPConnection]) -> None:
    for each in connections:
        held = each.sock
        if held is not None:
            try:
                socket.socket.shutdown(held, socket.SHUT_RDWR)  # SSLSocket.shutdown would wait for its peer
            except OSError:
                return
