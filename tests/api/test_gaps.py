"""Gaps and conversation syncs in the API."""

from flask import Flask

from tests.api.clients import an_api_client, problem
from tests.factories import ATELIER_NORD, MAISON_LUNE, an_account
from tests.web.test_gaps import a_gap


def test_the_gaps_of_an_account_are_listed(app: Flask) -> None:
    gap_id = a_gap(an_account())
    an_account(ATELIER_NORD)
    client = an_api_client(app, "read")
    [gap] = client.get(f"/api/accounts/{MAISON_LUNE}/gaps").get_json()["data"]
    assert (gap["id"], gap["state"], gap["jobId"]) == (str(gap_id), "closed_with_losses", "3f9c1a7be204")
    assert gap["from"] < gap["to"] < gap["closedAt"]
    assert client.get(f"/api/accounts/{ATELIER_NORD}/gaps").get_json()["data"] == []
    problem(client.get("/api/accounts/1/gaps"), 404)


def test_a_sync_is_started_once(app: Flask) -> None:
    an_account()
    client = an_api_client(app)
    started = client.post(f"/api/accounts/{MAISON_LUNE}/sync")
    assert started.status_code == 202
    job = client.get(started.headers["Location"]).get_json()
    assert (job["kind"], job["state"], job["newMessages"]) == ("sync", "queued", 0)
    assert job["notGiven"] == {"older": 0, "unsent": 0, "unreadable": 0}
    refused = problem(client.post(f"/api/accounts/{MAISON_LUNE}/sync"), 409)
    assert refused["jobId"] == job["id"]
    assert client.get(f"/api/jobs/{job['id']}/items").get_json()["data"] == []
    canceled = client.post(f"/api/jobs/{job['id']}/cancel")
    assert canceled.get_json()["state"] == "canceled"
