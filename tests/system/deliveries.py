"""Deliveries to the web server of an installation."""

import time
import urllib.error
import urllib.request

from tests.factories import LEA, a_delivery, a_message_event
from tests.support.installation import Installation
from tests.support.processes import Web
from tests.support.webhooks import signature_of

MESSAGES = "SELECT count(*) FROM messages"


def post(
    nametag: Installation, words: str = "Bonjour", *, sender: str = LEA, to: Web | None = None
) -> tuple[int, float]:
    """Deliver one message; return the status and the seconds until the answer."""
    body = a_delivery(a_message_event(sender, words))
    began = time.monotonic()
    try:
        status = send(nametag, "/webhooks/instagram", body, signature_of(body, nametag.app_secret), to=to)
    except urllib.error.HTTPError as refused:
        refused.close()
        status = refused.code
    return status, time.monotonic() - began


def send(
    nametag: Installation, path: str, body: bytes | None = None, signature: str = "", *, to: Web | None = None
) -> int:
    """Send one request to the web server, or to `to`; return the status."""
    headers = {"Content-Type": "application/json", "X-Hub-Signature-256": signature}
    request = urllib.request.Request((to or nametag.web).url + path, data=body, headers=headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return int(answer.status)
