"""Who sends: does a delivery carry a signature of Meta's, does a handshake carry our word."""

import hashlib
import hmac
import re
from collections.abc import Sequence

SIGNATURE = re.compile(r"sha256=([0-9a-f]{64})", re.ASCII)


def is_signed(body: bytes, signature: str | None, secrets: Sequence[str]) -> bool:
    """Return whether `signature` (the X-Hub-Signature-256 header) fits the raw body under any of the app secrets.

    Only the lower-case form that Meta sends is accepted (instagram-platform.md 3).
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
    """Return whether a subscription handshake carries our verify token; compared in constant time."""
    return mode == "subscribe" and hmac.compare_digest((token or "").encode(), verify_token.encode())
