"""`nametag dead-letters …`: list, show, replay, discard."""

import json

from flask import Flask

from tests.cli.commands import nametag, refused
from tests.factories import ATELIER_NORD, LEA, MAISON_LUNE, a_delivery, a_message_event, an_account
from tests.support.webhooks import receive_webhook


def a_letter(text: str = "Bonjour") -> None:
    body = a_delivery(a_message_event(LEA, text), ig_account_id=ATELIER_NORD)
    receive_webhook(body)


def test_none_is_said_in_words(app: Flask) -> None:
    assert nametag("dead-letters", "list").stdout == "No dead letters.\n"
    assert json.loads(nametag("dead-letters", "list", "--json").stdout) == []


def test_the_newest_comes_first_and_can_be_shown_whole(app: Flask) -> None:
    a_letter("first")
    a_letter("second")
    listed = json.loads(nametag("dead-letters", "list", "--json", "--limit", "1").stdout)
    assert [(each["reason"], each["accountId"], each["times"]) for each in listed] == [
        ("unknown_account", ATELIER_NORD, 1)
    ]
    shown = json.loads(nametag("dead-letters", "show", str(listed[0]["id"]), "--json").stdout)
    assert "second" in shown["raw"]
    assert "second" in nametag("dead-letters", "show", str(listed[0]["id"])).stdout


def test_what_looks_like_a_token_is_not_shown(app: Flask) -> None:
    a_letter("access_token=IGAAcanaryOfATest0123456789")
    assert "IGAAcanary" not in nametag("dead-letters", "show", "1").stdout


def test_an_unknown_letter_is_one_line(app: Flask) -> None:
    refused(nametag("dead-letters", "show", "7"), status=1)
    assert nametag("dead-letters", "show", "x").exit_code == 2


def test_letters_are_replayed_and_thrown_away(app: Flask) -> None:
    a_letter("first")
    a_letter("second")
    assert nametag("dead-letters", "discard", "1").stdout == "Discarded dead letter 1.\n"
    still = nametag("dead-letters", "replay", "2")
    assert (still.exit_code, still.stdout) == (1, "Replayed 1: 0 processed, 1 failed again.\n")
    an_account(ATELIER_NORD, own_ids=[MAISON_LUNE])
    replayed = nametag("dead-letters", "replay", "--all")
    assert (replayed.exit_code, replayed.stdout) == (0, "Replayed 1: 1 processed, 0 failed again.\n")


def test_replaying_wants_one_or_all(app: Flask) -> None:
    assert nametag("dead-letters", "replay").exit_code == 2
    assert nametag("dead-letters", "replay", "1", "--all").exit_code == 2
