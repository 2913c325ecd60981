"""Calls to a sandbox as another client of Meta would make them, without Nametag's client."""

import hashlib
import hmac
import json
import urllib.request
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode

from app.sandbox.accounts import APP_ID, APP_SECRET
from tests.support.processes import Sandbox

INSTAGRAM_TOKEN = "IGAAsandboxMaisonLune0123456789"
FACEBOOK_TOKEN = "EAAsandboxAtelierNord0123456789"


def get(
    sandbox: Sandbox, path: str, *, token: str | None = INSTAGRAM_TOKEN, host: str = "instagram", **query: str
) -> tuple[int, Any, dict[str, str]]:
    """Return status, JSON and headers (lower-case names) of one Graph call."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    if token and host == "facebook" and "appsecret_proof" not in query:
        query["appsecret_proof"] = hmac.new(APP_SECRET.encode(), token.encode(), hashlib.sha256).hexdigest()
    address = f"{sandbox.url}/{host}/v26.0/{path}?{urlencode(query)}"
    try:
        with urllib.request.urlopen(urllib.request.Request(address, headers=headers), timeout=10) as answer:
            return answer.status, json.load(answer), {name.lower(): value for name, value in answer.headers.items()}
    except HTTPError as refused:
        with refused:
            found = {name.lower(): value for name, value in refused.headers.items()}
            return refused.code, json.load(refused), found


def exchange(sandbox: Sandbox, path: str = "instagram/oauth/access_token", **form: str) -> tuple[int, Any]:
    known = {"client_id": APP_ID, "client_secret": APP_SECRET} | form
    try:
        with urllib.request.urlopen(f"{sandbox.url}/{path}", urlencode(known).encode(), timeout=10) as answer:
            return answer.status, json.load(answer)
    except HTTPError as refused:
        with refused:
            return refused.code, json.load(refused)
