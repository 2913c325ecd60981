"""Dead letters in the API: filters, pages, replay of one kind, and the same on the command line."""

import json

import pytest
from flask import Flask

from app.ingest import dead_letters
from app.viewer import OPERATOR
from tests.api.clients import ApiClient, an_api_client, problem
from tests.cli.commands import nametag
from tests.factories import ATELIER_NORD, LEA, MAISON_LUNE, a_delivery, a_message_event, an_account
from tests.support.webhooks import receive_webhook


@pytest.fixture
def client(app: Flask) -> ApiClient:
    """A client, and four dead letters: two of an account that is not connected, two that are no events."""
    an_account()
    for text in ("First", "Second"):
        receive_webhook(a_delivery(a_message_event(LEA, text, recipient=ATELIER_NORD), ig_account_id=ATELIER_NORD))
    for body in (b"[]", b"{}"):
        receive_webhook(body)
    return an_api_client(app)


def reasons(client: ApiClient, query: str = "") -> list[str]:
    return [each["reason"] for each in client.get(f"/api/dead-letters{query}").get_json()["data"]]


def test_dead_letters_are_listed_by_reason_and_account_in_pages(client: ApiClient) -> None:
    assert reasons(client) == ["unreadable", "unreadable", "unknown_account", "unknown_account"]
    assert reasons(client, "?reason=unreadable") == ["unreadable"] * 2
    assert reasons(client, f"?accountId={ATELIER_NORD}") == ["unknown_account"] * 2
    assert reasons(client, f"?accountId={MAISON_LUNE}") == []
    first = client.get("/api/dead-letters?limit=3").get_json()
    second = client.get(f"/api/dead-letters?limit=3&cursor={first['nextCursor']}").get_json()
    assert len({each["id"] for each in (*first["data"], *second["data"])}) == 4
    assert second["nextCursor"] is None
    problem(client.get(f"/api/dead-letters?reason=unreadable&cursor={first['nextCursor']}"), 400)


def test_a_dead_letter_is_shown_discarded_and_gone(client: ApiClient) -> None:
    letter = client.get("/api/dead-letters").get_json()["data"][0]
    shown = client.get(f"/api/dead-letters/{letter['id']}").get_json()
    assert shown == letter | {"raw": "{}"}
    assert json.loads(nametag("dead-letters", "show", letter["id"], "--json").stdout) == shown
    assert client.call("DELETE", f"/api/dead-letters/{letter['id']}").status_code == 204
    problem(client.call("DELETE", f"/api/dead-letters/{letter['id']}"), 404)


def test_only_dead_letters_of_one_kind_are_replayed(client: ApiClient) -> None:
    an_account(ATELIER_NORD)
    done = client.post("/api/dead-letters/replay?reason=unknown_account").get_json()
    assert done == {"processed": 2, "failed": 0, "nextCursor": None}
    assert dead_letters.count(OPERATOR) == 2
    replayed = nametag("dead-letters", "replay", "--all", "--reason", "unreadable")
    assert (replayed.exit_code, replayed.stdout) == (1, "Replayed 2: 0 processed, 2 failed again.\n")


def test_one_dead_letter_is_replayed(client: ApiClient) -> None:
    an_account(ATELIER_NORD)
    letter = client.get(f"/api/dead-letters?accountId={ATELIER_NORD}").get_json()["data"][0]
    assert client.post(f"/api/dead-letters/{letter['id']}/replay").get_json()["processed"] == 1


def test_many_dead_letters_are_replayed_in_requests_that_follow_each_other(
    client: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.ingest.replay.BATCH", 3)
    first = client.post("/api/dead-letters/replay").get_json()
    second = client.post(f"/api/dead-letters/replay?cursor={first['nextCursor']}").get_json()
    assert [(each["processed"], each["failed"]) for each in (first, second)] == [(0, 3), (0, 1)]
    assert second["nextCursor"] is None


def test_the_command_line_lists_what_the_api_lists(client: ApiClient) -> None:
    listed = json.loads(nametag("dead-letters", "list", "--reason", "unknown_account", "--json").stdout)
    assert listed == client.get("/api/dead-letters?reason=unknown_account").get_json()["data"]
