"""Signatures of deliveries, and the subscription handshake."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.instagram import signatures

SAMPLES = Path(__file__).parents[1] / "samples"
VECTORS: dict[str, Any] = json.loads((SAMPLES / "webhook-signature-vectors.json").read_text())


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=lambda vector: vector["name"])
def test_signatures_match_the_test_vectors(vector: dict[str, Any]) -> None:
    secrets = [VECTORS["app_secret"], VECTORS["instagram_app_secret"]]
    header = vector["headers"].get("X-Hub-Signature-256")
    assert signatures.is_signed(vector["raw_body"].encode(), header, secrets) is vector["expect"].startswith("accept")


@pytest.mark.parametrize(
    "header",
    [None, "", "sha256=", "sha256=" + "a" * 63, "sha256=" + "a" * 65, "sha1=" + "a" * 64, "sha256=é" + "a" * 63],
)
def test_a_malformed_signature_is_refused(header: str | None) -> None:
    assert not signatures.is_signed(b"{}", header, ["secret"])


def test_two_digests_joined_by_a_comma_are_refused() -> None:
    good = VECTORS["vectors"][0]
    header = good["headers"]["X-Hub-Signature-256"]
    body = good["raw_body"].encode()
    assert signatures.is_signed(body, header, [VECTORS["app_secret"]])
    assert not signatures.is_signed(body, f"{header},{header}", [VECTORS["app_secret"]])


@pytest.mark.parametrize("case", json.loads((SAMPLES / "webhook-verification.json").read_text())["cases"][:3])
def test_the_handshake_needs_mode_and_token(case: dict[str, Any]) -> None:
    query = case["query"]
    fits = signatures.is_handshake(
        query["hub.mode"], query["hub.verify_token"], verify_token=case["configured_verify_token"]
    )
    assert fits is (case["expect"]["status"] == 200)
