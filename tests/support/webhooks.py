"""Webhook deliveries, signed as Meta signs them."""

import hashlib
import hmac

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import settings
from app.ingest import receive

PATH = "/webhooks/instagram"
SIGNATURE = "X-Hub-Signature-256"


def post_webhook(client: FlaskClient, body: bytes) -> TestResponse:
    """Post one signed delivery to the webhook route."""
    return client.post(PATH, data=body, headers=signed_headers(body))


def receive_webhook(body: bytes) -> receive.DeliveryResult:
    """Store one signed delivery without HTTP."""
    return receive.receive_delivery(body, signature_of(body))


def signed_headers(body: bytes, secret: str | None = None) -> dict[str, str]:
    """Return the headers that Meta sends with `body`."""
    return {SIGNATURE: signature_of(body, secret), "Content-Type": "application/json"}


def signature_of(body: bytes, secret: str | None = None) -> str:
    """Return Meta's signature of `body`, with `secret` or the first configured app secret."""
    key = (settings.current().meta_app_secrets[0] if secret is None else secret).encode()
    return f"sha256={hmac.new(key, body, hashlib.sha256).hexdigest()}"
