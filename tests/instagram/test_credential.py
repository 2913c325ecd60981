"""Credentials have a proof if an app secret is given, and are never printed."""

import hashlib
import hmac

from app.instagram.credential import Credential


def test_the_proof_is_the_token_signed_with_the_app_secret() -> None:
    proved = Credential("https://graph.facebook.com", "v26.0", "EAAcanary", 2.0, app_secret="secret")
    assert proved.proof == {"appsecret_proof": hmac.new(b"secret", b"EAAcanary", hashlib.sha256).hexdigest()}


def test_without_an_app_secret_there_is_no_proof() -> None:
    assert Credential("https://graph.instagram.com", "v26.0", "IGAAcanary", 2.0).proof == {}


def test_neither_token_nor_secret_is_printed() -> None:
    shown = repr(Credential("https://graph.facebook.com", "v26.0", "EAAcanary", 2.0, app_secret="hush"))
    assert "canary" not in shown
    assert "hush" not in shown
