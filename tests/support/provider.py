"""A small OpenID provider over HTTP: the test chooses the claims of each user."""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

from app import clock


class Provider:
    """The provider at `issuer`; `claims` override the valid ones of the ID token, None leaves one out."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.claims: dict[str, Any] = {}
        self.userinfo: dict[str, Any] | None = None  # the answer of the userinfo endpoint; None if there is no endpoint
        self.key = self.published = RSAKey.generate_key(2048, {"kid": "first"})
        self.codes: dict[str, dict[str, str]] = {}
        self.moved_to = ""  # the target of a redirect of every call
        self.drips = threading.Event()  # while set, an answer never ends

    def agree(self, address: str) -> str:
        """Sign in a visitor redirected to `address`; return the URL they are redirected to."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert address.startswith(f"{self.issuer}/authorize?")
        assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def answer(self, path: str, form: dict[str, str], bearer: str | None = None) -> dict[str, Any] | None:
        """Return the JSON answer to a call; None for a refusal."""
        if path == "/.well-known/openid-configuration":
            ends = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "jwks"}
            if self.userinfo is not None:
                ends["userinfo_endpoint"] = "userinfo"
            return {"issuer": self.issuer} | {name: f"{self.issuer}/{end}" for name, end in ends.items()}
        if path == "/jwks":
            return {"keys": [self.published.as_dict(private=False)]}
        if path == "/userinfo":
            return self.userinfo if bearer == "Bearer a" else None
        asked = self.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if asked is None or base64.urlsafe_b64encode(digest).decode().rstrip("=") != asked["code_challenge"]:
            return None
        now = int(clock.now().timestamp())
        right = {"iss": self.issuer, "aud": asked["client_id"], "sub": "1", "iat": now, "exp": now + 60}
        claims = right | {"nonce": asked["nonce"], "email_verified": True} | self.claims
        claims = {claim: value for claim, value in claims.items() if value is not None}
        token = jwt.encode({"alg": "RS256", "kid": "first"}, claims, self.key)
        return {"access_token": "a", "token_type": "Bearer", "expires_in": 60, "id_token": token}


@contextmanager
def serving() -> Iterator[Provider]:
    """Serve a provider for one block."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            form = {name: values[0] for name, values in parse_qs(self.rfile.read(length).decode()).items()}
            if provider.moved_to:
                self.send_response(302)
                self.send_header("Location", provider.moved_to + self.path)
                self.end_headers()
                return
            answer = provider.answer(self.path, form, self.headers.get("Authorization"))
            self.send_response(200 if answer else 400)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            while provider.drips.is_set():
                self.wfile.write(b" ")
                time.sleep(0.05)
            self.wfile.write(json.dumps(answer or {"error": "invalid_grant"}).encode())

        do_POST = do_GET  # noqa: N815 - http.server's name

        def log_message(self, format: str, *args: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        provider = Provider(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield provider
        finally:
            server.shutdown()
            thread.join()
