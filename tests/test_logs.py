"""Log lines: one JSON object each, and none with a secret."""

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
    with logs.log_context(request="abc"), logs.log_context(run="r1"):
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
        "https://graph.instagram.com/access_token?client_secret=canary-secret&x=1",
        "Authorization: Bearer canary-token",
        "X-Hub-Signature-256: sha256=" + "ca" * 32,
        "redis://:canary-password@redis.example:6379/0",
        "postgresql://nametag:canary-password@db.example/nametag",
        "nametag_canary-token-of-a-program-0123456789",
        '{"access_token": "canary", "client_secret": "canary", "password":"canary"}',
        "hub.verify_token=canary&hub.challenge=1",
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


def test_a_secret_with_quotes_is_cut_and_a_short_one_leaves_words_whole(written: io.StringIO) -> None:
    with settings.using(secret_key='one "quoted" sécret', meta_verify_token="ok"):
        log().info('it is one "quoted" sécret, ok?')
    assert lines(written)[0]["message"] == "it is [secret], ok?"


def test_as_many_lines_as_events_whatever_a_name_is_made_of(written: io.StringIO) -> None:
    for name in ("a\nb", "a\rb", "\x1b[2J", "\u202emoreau", "\u2028", "\x00\x07\x9b"):
        log().info("met %s", name, extra={"person": name})
    assert len(lines(written)) == written.getvalue().count("\n") == 6
    assert all(ord(character) >= 0x20 or character == "\n" for character in written.getvalue())
    assert written.getvalue().isascii()
