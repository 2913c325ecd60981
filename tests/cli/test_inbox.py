"""`nametag inbox`."""

import json
from datetime import timedelta

from flask import Flask

from app import clock
from tests.api.clients import an_api_client
from tests.cli.commands import nametag
from tests.factories import CAMILLE, LEA, MAISON_LUNE, an_account, people_wrote


def test_it_counts_needed_replies_by_window(app: Flask) -> None:
    an_account(connected_at=clock.now() - timedelta(days=30))
    assert nametag("inbox", "needs-reply").stdout == "No conversation needs a reply.\n"
    people_wrote(LEA)
    people_wrote(CAMILLE, at=clock.now() - timedelta(hours=30))
    [counted] = json.loads(nametag("inbox", "needs-reply", "--json").stdout)
    assert {name: value for name, value in counted.items() if name != "oldestSince"} == {
        "accountId": MAISON_LUNE,
        "account": "maison.lune",
        "open": 1,
        "closing": 0,
        "closed": 1,
        "expired": 0,
    }
    assert "maison.lune  1     0        1       0" in nametag("inbox", "needs-reply").stdout


def test_a_conversation_is_marked_as_read_and_as_no_reply_needed(app: Flask) -> None:
    an_account()
    people_wrote(LEA)
    client = an_api_client(app)
    assert nametag("inbox", "mark-read", "1").exit_code == 0
    assert nametag("inbox", "no-reply-needed", "1").exit_code == 0
    marked = client.get("/messaging/conversations/1").get_json()
    assert (marked["unreadCount"], marked["needsReplySince"]) == (0, None)
    assert nametag("inbox", "no-reply-needed", "1", "--undo").exit_code == 0
    assert client.get("/messaging/conversations/1").get_json()["needsReplySince"]
    assert nametag("inbox", "mark-read", "99").exit_code == 1
