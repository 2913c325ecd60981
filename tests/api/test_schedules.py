"""Endpoints for schedules."""

from flask import Flask

from app import schedules
from tests.api.clients import an_api_client, problem
from tests.factories import MAISON_LUNE, an_account


def test_schedules_are_listed_run_and_switched(app: Flask) -> None:
    client = an_api_client(app)
    answer = client.get("/api/schedules").get_json()
    assert [each["name"] for each in answer["data"]] == [each.name for each in schedules.SCHEDULES]
    assert answer["schedulerRuns"] is False
    assert client.post("/api/schedules/token-refresh/off").get_json()["offBy"] == "token crm"
    requested = client.post("/api/schedules/token-refresh/run")
    assert requested.status_code == 202
    assert requested.get_json()["requestedAt"]
    problem(client.post("/api/schedules/token-refresh/run"), 409)
    assert client.post("/api/schedules/token-refresh/on").get_json()["offAt"] is None
    problem(client.post("/api/schedules/purge/off"), 409)
    problem(client.post("/api/schedules/tea-time/run"), 404)


def test_a_token_that_reads_lists_schedules_and_one_of_some_accounts_sees_no_results(app: Flask) -> None:
    assert an_api_client(app, "read").get("/api/schedules").status_code == 200
    limited = an_api_client(app, accounts=[], name="shop")
    assert {each["result"] for each in limited.get("/api/schedules").get_json()["data"]} == {None}
    problem(limited.post("/api/schedules/pictures/run"), 403)


def test_a_schedule_is_switched_off_for_one_account_also_by_a_token_that_sees_only_it(app: Flask) -> None:
    account = an_account()
    limited = an_api_client(app, accounts=[account.id], name="shop")
    of = {"accountId": MAISON_LUNE}
    off = limited.post("/api/schedules/pictures/off", json=of | {"reason": "Rebranding"}).get_json()
    assert (off["offAt"], [(each["accountId"], each["offBy"], each["offReason"]) for each in off["offAccounts"]]) == (
        None,
        [(MAISON_LUNE, "token shop", "Rebranding")],
    )
    problem(limited.post("/api/schedules/pictures/off", json=of), 409)
    problem(limited.post("/api/schedules/purge/off", json=of), 409)
    problem(limited.post("/api/schedules/pictures/off", json={"accountId": "1"}), 404)
    problem(limited.post("/api/schedules/pictures/off", json={"reason": "Rebranding"}), 403)
    problem(limited.post("/api/schedules/pictures/off", json=of | {"reason": "x" * 201}), 422)
    unseen = an_api_client(app, accounts=[], name="other").get("/api/schedules").get_json()["data"]
    assert not any(each["offAccounts"] for each in unseen)
    assert limited.post("/api/schedules/pictures/on", json=of).get_json()["offAccounts"] == []
