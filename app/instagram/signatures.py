"""Verify Meta's signatures of deliveries and signed requests, and the verify token of subscription handshakes."""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence

from app.instagram.ids import ig_id
from app.strict_json import load_json

SIGNED_CHARACTERS = 16_384
SIGNED_REQUEST = re.compile(r"([\w-]{43})\.([\w-]+)", re.ASCII)
SIGNATURE = re.compile(r"sha256=([0-9a-f]{64})", re.ASCII)


def is_signed(body: bytes, signature: str | None, secrets: Sequence[str]) -> bool:
    """Return whether `signature` (the X-Hub-Signature-256 header) matches the raw body with one of the app secrets.

    Only the lower-case form that Meta sends is accepted (docs/meta-platform.md#webhook-requests).
    """
    match = SIGNATURE.fullmatch(signature or "")
    if match is None:
        return False
    given = match[1].encode()
    fits = [
        hmac.compare_digest(hmac.new(secret.encode(), body, hashlib.sha256).hexdigest().encode(), given)
        for secret in secrets
    ]
    return any(fits)


def is_handshake(mode: str | None, token: str | None, *, verify_token: str) -> bool:
    """Return whether a subscription handshake carries `verify_token`; compared in constant time."""
    return mode == "subscribe" and hmac.compare_digest((token or "").encode(), verify_token.encode())


def user_of_signed_request(signed_request: str, secrets: Sequence[str]) -> str | None:
    """Return the app-scoped ID of the account owner in a `signed_request`; None if it is not from Meta.

    The signature covers the encoded payload (docs/meta-platform.md#deauthorization-and-data-deletion).
    """
    found = SIGNED_REQUEST.fullmatch(signed_request) if len(signed_request) <= SIGNED_CHARACTERS else None
    if found is None:
        return None
    given, payload = found[1].encode(), found[2].encode()
    # Compared in encoded form: several encodings decode to the same bytes and would count as different requests.
    fits = [hmac.compare_digest(_encode(hmac.digest(each.encode(), payload, "sha256")), given) for each in secrets]
    if not any(fits):
        return None
    try:
        request = load_json(_decode(found[2]))
    except ValueError:
        return None
    if not isinstance(request, dict) or request.get("algorithm") != "HMAC-SHA256":
        return None
    return ig_id(request.get("user_id"))


def _encode(signature: bytes) -> bytes:
    return base64.urlsafe_b64encode(signature).rstrip(b"=")


def _decode(encoded: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    except (binascii.Error, ValueError):
        return b""
