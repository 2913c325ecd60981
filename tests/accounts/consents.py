"""Shared by tests of authorization: an account owner at the sandbox, who chooses and returns."""

import http.client
from urllib.parse import parse_qs, urlsplit


def chosen(address: str, choice: str = "allow") -> dict[str, str]:
    """Return what Meta sends back with an owner who was led to `address` and made this choice there."""
    parts = urlsplit(address)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    connection.request("GET", f"{parts.path}?{parts.query}&choice={choice}")
    answer = connection.getresponse()
    answer.read()
    connection.close()
    back = urlsplit(answer.headers["Location"])
    return {name: values[0] for name, values in parse_qs(back.query).items()}
