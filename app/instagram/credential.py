"""The credential of a Graph API call."""

import hashlib
import hmac
import re
from dataclasses import dataclass

TOKEN = re.compile(r"[!-~]{1,2000}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Credential:
    """Host, API version, access token and deadline of a call; `app_secret` is set where calls need a proof.

    `account_ids` are the IDs that Meta may use in usage headers for the account or its Page.
    """

    host_url: str
    version: str
    token: str
    timeout_seconds: float
    app_secret: str | None = None
    account_ids: frozenset[str] = frozenset()

    @property
    def proof(self) -> dict[str, str]:
        """The `appsecret_proof` parameter (docs/meta-platform.md#access-tokens); empty without an app secret."""
        if not self.app_secret:
            return {}
        digest = hmac.new(self.app_secret.encode(), self.token.encode(), hashlib.sha256)
        return {"appsecret_proof": digest.hexdigest()}

    def __repr__(self) -> str:
        return f"Credential({self.host_url})"
