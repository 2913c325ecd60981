"""One JSON object a line, and no secret in any of them."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from app import logs, settings


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonFormatter())
    logger = logging.getLogger("tests.logs")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield stream
    logger.removeHandler(handler)


def log() -> logging.Logger:
    return logging.getLogger("tests.logs")


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_record_is_one_line_of_json_whatever_is_in_it(written: io.StringIO) -> None:
    log().info("first\nsecond\x1b[2J\u2028\u202e", extra={"account": 7})
    [line] = lines(written)
    assert line["message"] == "first\nsecond\x1b[2J\u2028\u202e"
    assert (line["level"], line["account"]) == ("info", 7)
    assert written.getvalue().isascii()
    assert written.getvalue().count("\n") == 1


def test_the_place_is_on_every_line_inside_it(written: io.StringIO) -> None:
    with logs.place(request="abc"), logs.place(run="r1"):
        log().info("inside")
    log().info("outside")
    inside, outside = lines(written)
    assert (inside["request"], inside["run"]) == ("abc", "r1")
    assert "request" not in outside


@pytest.mark.parametrize(
    "leak",
    [
        "IGAAcanaryTokenOfInstagram",
        "EAAcanaryTokenOfFacebook",
        "https://graph.instagram.com/me?access_token=canary-token&x=1",
        "Authorization: Bearer canary-token",
        "X-Hub-Signature-256: sha256=" + "ca" * 32,
    ],
)
def test_tokens_are_cut_from_messages_arguments_and_tracebacks(written: io.StringIO, leak: str) -> None:
    log().warning("calling %s", leak, extra={"url": leak})
    try:
        raise ValueError(leak)
    except ValueError:
        log().exception("failed")
    assert "canary" not in written.getvalue()
    assert "ca" * 32 not in written.getvalue()
    assert all(line["level"] in ("warning", "error") for line in lines(written))


def test_our_own_secrets_are_cut_wherever_they_stand(written: io.StringIO) -> None:
    chosen = settings.current()
    for secret in (chosen.secret_key, *chosen.meta_app_secrets, *chosen.token_encryption_keys):
        log().info("secret %s in a text", secret)
        assert secret not in written.getvalue()
