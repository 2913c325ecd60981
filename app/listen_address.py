"""The address that the web server listens on: `127.0.0.1:8000`, `[::]:8000` or `unix:/run/nametag/web.sock`."""

import ipaddress
import re
import socket
from dataclasses import dataclass

MOST_PATH_BYTES = 107  # of a Unix socket, set by the kernel
_HOST_PORT = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<v4>[0-9.]+|localhost)):(?P<port>\d{1,5})", re.ASCII)
_MUST_BE = "must be an IP address with a port, such as 127.0.0.1:8000 or [::]:8000, or unix: with an absolute path"


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """A TCP address, or the `path` of a Unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        """Return the address as it is written in LISTEN, which gunicorn reads, too."""
        return f"unix:{self.path}" if self.path else f"{_bracketed(self.host)}:{self.port}"

    @property
    def family(self) -> socket.AddressFamily:
        """The family of its socket."""
        if self.path:
            return socket.AF_UNIX
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET

    @property
    def is_loopback(self) -> bool:
        """Whether it is a TCP address that only this machine reaches."""
        return bool(self.host) and ipaddress.ip_address(self.host).is_loopback

    @property
    def peer(self) -> str | tuple[str, int]:
        """What a client on this machine connects to."""
        if self.path:
            return self.path
        any_address = ipaddress.ip_address(self.host).is_unspecified
        loopback = "::1" if self.family is socket.AF_INET6 else "127.0.0.1"
        return (loopback if any_address else self.host), self.port

    @property
    def url(self) -> str:
        """The URL for clients on this machine; of a Unix socket its address, which no browser opens."""
        peer = self.peer
        return str(self) if isinstance(peer, str) else f"http://{_bracketed(peer[0])}:{peer[1]}"

    def answers(self) -> bool:
        """Return whether a web server answers there, with any status."""
        with socket.socket(self.family) as client:
            client.settimeout(2)
            try:
                client.connect(self.peer)
                client.sendall(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")
                return client.recv(5) == b"HTTP/"
            except OSError:
                return False


def parse(value: str) -> ListenAddress:
    """Return the address that `value` names. Raises ValueError with what it must be."""
    if value.startswith("unix:"):
        path = value.removeprefix("unix:")
        if not path.startswith("/") or len(path.encode()) > MOST_PATH_BYTES:
            raise ValueError(f"must be unix: with an absolute path of at most {MOST_PATH_BYTES} bytes")
        return ListenAddress(path=path)
    found = _HOST_PORT.fullmatch(value)
    if not found or int(found["port"]) > 65535:
        raise ValueError(_MUST_BE)
    host = found["v6"] or found["v4"].replace("localhost", "127.0.0.1")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise ValueError(_MUST_BE) from None
    return ListenAddress(host, int(found["port"]))


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
