"""Signed requests of Meta's deauthorize and data deletion callbacks."""

import base64
import hashlib
import hmac
import json

from app import settings
from tests.factories import MAISON_LUNE_APP_SCOPED


def encoded(raw: bytes) -> str:
    """Return `raw` as base64url without padding."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def a_signed_request(user_id: object = MAISON_LUNE_APP_SCOPED, **changes: object) -> str:
    """Return what Meta posts when the account owner with `user_id` removes the app or asks for deletion."""
    payload = encoded(json.dumps({"user_id": user_id, "algorithm": "HMAC-SHA256", "issued_at": 1} | changes).encode())
    key = settings.current().meta_app_secrets[0].encode()
    return f"{encoded(hmac.new(key, payload.encode(), hashlib.sha256).digest())}.{payload}"
