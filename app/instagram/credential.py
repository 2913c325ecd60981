"""What a Graph call is made with."""

import hashlib
import hmac
import re
from dataclasses import dataclass

TOKEN = re.compile(r"[!-~]{1,2000}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Credential:
    """Host, version, token and deadline of a call; `app_secret` is given for Facebook Login, whose calls are proved.

    `account_ids` are the IDs under which Meta may report the usage of the account, its Page among them.
    """

    host_url: str
    version: str
    token: str
    timeout_seconds: float
    app_secret: str | None = None
    account_ids: frozenset[str] = frozenset()

    @property
    def proof(self) -> dict[str, str]:
        """The parameters that prove a call to be the app's own (instagram-platform.md 11, reliability.md S39)."""
        if not self.app_secret:
            return {}
        digest = hmac.new(self.app_secret.encode(), self.token.encode(), hashlib.sha256)
        return {"appsecret_proof": digest.hexdigest()}

    def __repr__(self) -> str:
        return f"Credential({self.host_url})"
