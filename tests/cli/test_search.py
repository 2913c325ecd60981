"""`nametag search`: the language of the search field, as a table or JSON."""

import json

from flask import Flask

from tests.cli.commands import nametag, refused
from tests.factories import CAMILLE, LEA, MAISON_LUNE, a_message_event, an_account, deliver


def test_conversations_are_found_as_a_table_and_as_json(app: Flask) -> None:
    an_account()
    deliver(a_message_event(LEA, "linen lamp"), a_message_event(CAMILLE, "velvet lamp"))
    assert "linen lamp" in nametag("search", "linen kind:text").stdout
    found = json.loads(nametag("search", "lamp -velvet", "--json", "--account-id", MAISON_LUNE).stdout)
    assert [each["participantPlatformId"] for each in found] == [LEA]
    assert nametag("search", "nothing").stdout == "No conversations found.\n"


def test_an_unknown_operator_is_explained_apart_from_the_result(app: Flask) -> None:
    an_account()
    searched = nametag("search", "color:red", "--json")
    assert json.loads(searched.stdout) == []
    assert "“color:” is not a search operator" in searched.stderr


def test_an_unknown_account_is_refused(app: Flask) -> None:
    assert "account" in refused(nametag("search", "lamp", "--account-id", "1"), status=2)
