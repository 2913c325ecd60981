"""Jobs in the API: started once, followed, canceled, retried."""

import threading

import pytest
from flask import Flask

from app.models.account import Account
from app.runs import runner
from tests.api.clients import ApiClient, an_api_client, problem
from tests.cli.commands import nametag
from tests.factories import ATELIER_NORD, GHOST, LEA, MAISON_LUNE, RUI, SHY, a_sandbox_account, an_account, people_wrote
from tests.support.processes import Sandbox

BACKFILL = "/api/workers/backfill-profiles"
REFRESH = "/api/social/instagram/inbox/refresh-identities"
RECENT = "/api/social/instagram/messages/backfill"


@pytest.fixture
def account(app: Flask, meta: Sandbox) -> Account:
    account = a_sandbox_account(location_id="paris-1")
    people_wrote(LEA, GHOST, RUI)
    return account


@pytest.fixture
def crm(app: Flask, account: Account) -> ApiClient:
    return an_api_client(app)


def test_a_start_says_what_it_will_take(crm: ApiClient) -> None:
    answer = crm.post(BACKFILL, json={"accountId": MAISON_LUNE, "batchSize": 5})
    started = answer.get_json()
    assert (answer.status_code, started["status"], started["total"]) == (202, "queued", 3)
    assert isinstance(started["estimatedDuration"], int)
    assert answer.headers["Location"] == f"/api/jobs/{started['jobId']}"


def test_a_second_start_names_the_job_that_runs(crm: ApiClient) -> None:
    started = crm.post(BACKFILL, json={"accountId": MAISON_LUNE}).get_json()
    assert problem(crm.post(BACKFILL, json={"accountId": MAISON_LUNE}), 409)["jobId"] == started["jobId"]


def test_a_job_is_watched_with_its_people(crm: ApiClient) -> None:
    job_id = crm.post(f"{RECENT}?locationId=paris-1&days=7").get_json()["jobId"]
    runner.run_slice(job_id)
    job = crm.get(f"/api/jobs/{job_id}").get_json()
    assert (job["state"], job["done"], job["resolved"], job["failed"]) == ("some_failed", 3, 2, 1)
    assert [each["id"] for each in crm.get("/api/jobs").get_json()["data"]] == [job_id]
    first = crm.get(f"/api/jobs/{job_id}/items?limit=2").get_json()
    rest = crm.get(f"/api/jobs/{job_id}/items?limit=2&cursor={first['nextCursor']}").get_json()
    assert [each["participantPlatformId"] for each in (*first["data"], *rest["data"])] == [RUI, GHOST, LEA]
    [failed] = crm.get(f"/api/jobs/{job_id}/items?state=failed").get_json()["data"]
    assert (failed["participantPlatformId"], failed["reason"], failed["code"]) == (GHOST, "not_visible", "9010")


def test_a_job_is_cancelled_and_its_failures_retried(crm: ApiClient) -> None:
    job_id = crm.post(BACKFILL, json={"accountId": MAISON_LUNE}).get_json()["jobId"]
    assert crm.post(f"/api/jobs/{job_id}/cancel").get_json()["state"] == "canceled"
    problem(crm.post(f"/api/jobs/{job_id}/cancel"), 409)
    problem(crm.post(f"/api/jobs/{job_id}/retry"), 409)
    second = crm.post(f"{REFRESH}?locationId={MAISON_LUNE}").get_json()["jobId"]
    runner.run_slice(second)
    assert crm.post(f"/api/jobs/{second}/retry").get_json()["state"] == "queued"


def test_a_retry_leaves_out_contacts_that_it_cannot_help(crm: ApiClient) -> None:
    people_wrote(SHY)
    job_id = crm.post(BACKFILL, json={"accountId": MAISON_LUNE}).get_json()["jobId"]
    runner.run_slice(job_id)
    retried = crm.post(f"/api/jobs/{job_id}/retry").get_json()
    assert (retried["id"], retried["state"], retried["failed"]) == (job_id, "queued", 1)
    assert (retried["retried"], retried["leftOut"]) == (1, [{"reason": "consent", "contacts": 1}])


def test_a_program_may_wait_for_the_result(app: Flask, crm: ApiClient) -> None:
    def work() -> None:
        with app.app_context():
            while not (jobs := crm.get("/api/jobs").get_json()["data"]):
                pass
            runner.run_slice(jobs[0]["id"])

    worker = threading.Thread(target=work)
    worker.start()
    answer = crm.post(f"{REFRESH}?locationId=paris-1", headers={"Prefer": "wait=20"})
    worker.join()
    assert (answer.status_code, answer.headers["Preference-Applied"]) == (200, "wait=20")
    result = answer.get_json()
    assert (result["refreshed"], result["failed"], result["total"]) == (2, 1, 3)
    assert [each["participantPlatformId"] for each in result["errors"]] == [GHOST]


def test_who_waits_in_vain_gets_the_job(crm: ApiClient) -> None:
    answer = crm.post(f"{REFRESH}?locationId=paris-1", headers={"Prefer": "wait=1"})
    assert (answer.status_code, answer.get_json()["status"]) == (202, "queued")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "accountId"),
        ({"accountId": MAISON_LUNE, "batchSize": 0}, "batchSize"),
        ({"accountId": MAISON_LUNE, "batchSize": 101}, "batchSize"),
        ({"accountId": MAISON_LUNE, "role": "admin"}, "role"),
        ({"accountId": 7}, "accountId"),
    ],
)
def test_wrong_fields_are_named(crm: ApiClient, body: dict[str, object], field: str) -> None:
    assert [each["field"] for each in problem(crm.post(BACKFILL, json=body), 422)["errors"]] == [field]
    assert crm.get("/api/jobs").get_json()["data"] == []


@pytest.mark.parametrize("days", ["0", "91", "x"])
def test_days_are_from_one_to_ninety(crm: ApiClient, days: str) -> None:
    problem(crm.post(f"{RECENT}?locationId=paris-1&days={days}"), 422)


def test_a_token_that_only_reads_starts_nothing(app: Flask, account: Account) -> None:
    reader = an_api_client(app, "read")
    for answer in (
        reader.post(BACKFILL, json={"accountId": MAISON_LUNE}),
        reader.post(f"{REFRESH}?locationId=paris-1"),
        reader.post(f"{RECENT}?locationId=paris-1"),
        reader.post("/api/jobs/0123456789ab/cancel"),
    ):
        problem(answer, 403)
    assert reader.get("/api/jobs").get_json()["data"] == []


def test_jobs_of_other_accounts_do_not_exist(app: Flask, crm: ApiClient) -> None:
    job_id = crm.post(BACKFILL, json={"accountId": MAISON_LUNE}).get_json()["jobId"]
    other = an_account(ATELIER_NORD)
    limited = an_api_client(app, accounts=[other.id], name="limited")
    for method, address in (
        ("GET", f"/api/jobs/{job_id}"),
        ("GET", f"/api/jobs/{job_id}/items"),
        ("POST", f"/api/jobs/{job_id}/cancel"),
        ("POST", f"/api/jobs/{job_id}/retry"),
        ("GET", "/api/jobs/ffffffffffff"),
    ):
        assert problem(limited.call(method, address), 404)["detail"] == "No such job."
    assert problem(limited.post(f"{REFRESH}?locationId=paris-1"), 404)["detail"] == "No such account."
    assert problem(limited.post(BACKFILL, json={"accountId": MAISON_LUNE}), 404)["detail"] == "No such account."


def test_shy_people_have_their_reason(app: Flask, crm: ApiClient) -> None:
    people_wrote(SHY)
    job_id = crm.post(BACKFILL, json={"accountId": MAISON_LUNE}).get_json()["jobId"]
    runner.run_slice(job_id)
    reasons = {each["reason"] for each in crm.get(f"/api/jobs/{job_id}/items?state=failed").get_json()["data"]}
    assert reasons == {"consent", "not_visible"}


def test_items_of_a_job_are_filtered_by_reason(crm: ApiClient) -> None:
    people_wrote(SHY)
    job_id = crm.post(BACKFILL, json={"accountId": MAISON_LUNE}).get_json()["jobId"]
    runner.run_slice(job_id)
    [shy] = crm.get(f"/api/jobs/{job_id}/items?reason=consent").get_json()["data"]
    assert (shy["participantPlatformId"], shy["displayName"], shy["previousName"]) == (SHY, "@user_000230", None)
    assert shy["seconds"] > 0
    named = crm.get(f"/api/jobs/{job_id}/items?state=resolved").get_json()["data"]
    assert ("@user_000011", "@lea.moreau") in [(each["previousName"], each["displayName"]) for each in named]
    problem(crm.get(f"/api/jobs/{job_id}/items?reason=x"), 422)


def test_a_job_is_paused_and_resumed(crm: ApiClient) -> None:
    job_id = crm.post(BACKFILL, json={"accountId": MAISON_LUNE}).get_json()["jobId"]
    paused = crm.post(f"/api/jobs/{job_id}/pause")
    assert (paused.status_code, paused.get_json()["state"], paused.get_json()["pausedBy"]) == (
        202,
        "paused",
        "token crm",
    )
    assert paused.get_json()["pausedAt"]
    assert problem(crm.post(BACKFILL, json={"accountId": MAISON_LUNE}), 409)["jobId"] == job_id
    resumed = crm.post(f"/api/jobs/{job_id}/resume").get_json()
    assert (resumed["state"], resumed["pausedBy"], resumed["scope"]) == ("queued", None, "all")
    problem(crm.post(f"/api/jobs/{job_id}/resume"), 409)


def test_the_plan_has_the_numbers_of_the_command_line(crm: ApiClient) -> None:
    people_wrote(SHY)
    found = crm.get(f"{BACKFILL}/plan?accountId={MAISON_LUNE}").get_json()
    assert (found["certainty"], found["people"], found["nameable"], found["staysUnknown"]) == ("unknown", 4, None, [])
    assert (found["lookedUp"], found["activeJobId"], found["startsAt"]) == (4, None, None)
    assert found["doneBy"]
    printed = nametag("backfill-profiles", "--account-id", MAISON_LUNE)
    assert "4 have not been looked up yet" in printed.stderr
    assert f"with {found['calls']} calls" in printed.stderr
    planned = crm.get(f"{BACKFILL}/plan?accountId={MAISON_LUNE}").get_json()
    assert planned["activeJobId"] == printed.stdout.strip()
    problem(crm.get(f"{BACKFILL}/plan?accountId=1"), 404)


def test_a_refresh_is_limited_to_a_filter_or_to_chosen_identities(crm: ApiClient) -> None:
    wanted = {"accountId": MAISON_LUNE, "q": GHOST}
    started = crm.post("/api/identities/refresh", json=wanted).get_json()
    assert started["total"] == 1
    assert crm.get(f"/api/jobs/{started['jobId']}").get_json()["scope"] == "filter"
    crm.post(f"/api/jobs/{started['jobId']}/cancel")
    runner.run_slice(started["jobId"])
    chosen = crm.post("/api/identities/refresh", json={"accountId": MAISON_LUNE, "identityIds": ["1", "2"]}).get_json()
    assert chosen["total"] == 2
    problem(crm.post("/api/identities/refresh", json={"accountId": MAISON_LUNE, "identityIds": ["none"]}), 422)
