"""The queue dashboard: who may see it, what may be changed, and scripts that cannot run."""

import json
import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis

from app import audit, queue, settings
from app.factory import create_app
from app.viewer import OPERATOR, Role
from app.web import queue_dashboard
from tests.support import databases
from tests.web.browsing import signed_in

QUEUE = queue.TASKS[queue.RESOLVE].queue
RUN = "0123456789ab"
EMPTY = f"/admin/queues/queue/{QUEUE}/queued/empty"
CHANGES = [
    EMPTY,
    f"/admin/queues/queue/{QUEUE}/compact",
    f"/admin/queues/requeue/{QUEUE}",
    "/admin/queues/job/x/requeue",
    "/admin/queues/job/x/delete",
]


@pytest.fixture
def ops(app: Flask) -> FlaskClient:
    queue.enqueue(queue.RESOLVE, 1, job_id=RUN)
    return signed_in(app)


def test_agents_are_kept_out_and_strangers_sign_in(app: Flask) -> None:
    assert app.test_client().get("/admin/queues/").status_code == 303
    assert signed_in(app, Role.AGENT).get("/admin/queues/").status_code == 403


def test_it_can_be_left_out(sqlite_database: str, redis: Redis) -> None:
    with (
        settings.using(database_url=sqlite_database, queue_dashboard=False),
        databases.app_context_of(create_app()) as without,
    ):
        ops = signed_in(without)
        assert ops.get("/admin/queues/").status_code == 404
        page = ops.get("/jobs")
        assert page.status_code == 200
        assert "/admin/queues" not in page.text


def test_agents_see_none_of_its_pages(app: Flask) -> None:
    agent = signed_in(app, Role.AGENT)
    views = [rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith("rq_dashboard.")]
    for rule in (rule for rule in views if not rule.endpoint.endswith(".static")):
        _, address = rule.build(dict.fromkeys(rule.arguments, 0)) or ("", str(rule))
        assert agent.get(address, follow_redirects=True).status_code in (403, 405), rule.endpoint
    assert len(views) > 10


def test_whatever_takes_a_post_is_known_to_change_something(app: Flask) -> None:
    posted = {rule.endpoint for rule in app.url_map.iter_rules() if "POST" in (rule.methods or ())}
    ours = {name.removeprefix("rq_dashboard.") for name in posted if name.startswith("rq_dashboard.")}
    assert ours == queue_dashboard.MUTATING


@pytest.mark.parametrize(
    "page", ["", "view/jobs", "view/workers", f"view/jobs/{QUEUE}/queued/8/dsc/1", "view/job/{id}"]
)
def test_what_comes_from_redis_is_escaped(ops: FlaskClient, page: str) -> None:
    shown = ops.get(f"/admin/queues/0/{page}".format(id=RUN), follow_redirects=True)
    assert shown.status_code == 200
    assert "<%- " in shown.text
    for raw in re.findall(r"<%=\s*(.*?)%>", shown.text):
        assert raw.startswith("$('<div/>').text("), raw


def test_a_job_is_shown_with_its_progress(ops: FlaskClient) -> None:
    queue.report(RUN, lambda: {"resolved": 7}, final=True)
    shown = ops.get(f"/admin/queues/0/data/job/{RUN}.json").get_json()
    assert (shown["id"], shown["origin"], shown["status"]) == (RUN, QUEUE, "queued")
    assert json.loads(shown["metadata"])["resolved"] == 7
    assert ops.get(f"/admin/queues/0/view/job/{RUN}").status_code == 200


def test_ops_see_the_queues_and_their_jobs(ops: FlaskClient) -> None:
    assert ops.get("/admin/queues/").status_code == 200
    queues = ops.get("/admin/queues/0/data/queues.json").get_json()["queues"]
    assert [(each["name"], each["count"]) for each in queues] == [(QUEUE, 1)]
    jobs = ops.get(f"/admin/queues/0/data/jobs/{QUEUE}/queued/8/dsc/1.json").get_json()["jobs"]
    assert len(jobs) == 1


@pytest.mark.parametrize("address", CHANGES)
def test_nothing_changes_by_get_or_without_a_token(ops: FlaskClient, redis: Redis, address: str) -> None:
    assert ops.get(address).status_code == 405
    assert ops.post(address).status_code == 400
    assert redis.llen(f"rq:queue:{QUEUE}") == 1


def test_a_queue_is_emptied_by_post_with_the_token(ops: FlaskClient, redis: Redis) -> None:
    token = re.search(r"'X-CSRFToken': \"([^\"]+)\"", ops.get("/admin/queues/").text)
    assert token
    answer = ops.post(EMPTY, headers={"X-CSRFToken": token[1]})
    assert answer.status_code == 200
    assert redis.llen(f"rq:queue:{QUEUE}") == 0


def test_only_scripts_with_the_one_time_word_run(ops: FlaskClient) -> None:
    page = ops.get("/admin/queues/")
    policy = page.headers["Content-Security-Policy"]
    nonce = re.search(r"'nonce-([^']+)'", policy)
    assert nonce
    assert "frame-ancestors 'none'" in policy
    assert "'unsafe-inline'" not in policy.split("script-src")[1].split(";")[0]
    scripts = re.findall(r"<script\b[^>]*>", page.text)
    assert scripts
    assert all(f'nonce="{nonce[1]}"' in script for script in scripts if "text/template" not in script)
    assert nonce[1] not in ops.get("/admin/queues/").headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "address",
    [
        "/admin/queues/0/data/jobs/x';alert(1)/queued/8/dsc/1.json",
        f"/admin/queues/0/data/jobs/{QUEUE}/odd/8/dsc/1.json",
        f"/admin/queues/0/data/jobs/{QUEUE}/queued/0/dsc/1.json",
        f"/admin/queues/0/data/jobs/{QUEUE}/queued/8/dsc/0.json",
        f"/admin/queues/0/view/jobs/{QUEUE}/queued/x/dsc/1",
        "/admin/queues/7/data/queues.json",
        "/admin/queues/0/view/job/nothing",
    ],
)
def test_odd_addresses_are_not_found(ops: FlaskClient, address: str) -> None:
    assert ops.get(address).status_code == 404


@pytest.mark.parametrize("address", ["/admin/queues/7/view/jobs", "/admin/queues/0/view/job/nothing", EMPTY])
def test_an_error_page_may_load_its_own_scripts_and_styles(ops: FlaskClient, address: str) -> None:
    answer = ops.get(address)
    assert answer.status_code in (404, 405)
    assert '<script src="/static/' in answer.text
    policy = answer.headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "nonce" not in policy


def test_the_address_of_redis_is_not_shown(ops: FlaskClient) -> None:
    assert "redis.sock" not in ops.get("/admin/queues/").text


def test_without_redis_the_page_says_so(ops: FlaskClient) -> None:
    with settings.using(redis_url="unix:///nowhere/redis.sock"):
        assert ops.get("/admin/queues/").status_code == 503


def test_markup_in_a_job_is_never_markup_on_a_page(ops: FlaskClient, redis: Redis) -> None:
    evil = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"
    queue.enqueue(queue.RESOLVE, 2, job_id="marked", description=evil)
    redis.sadd("rq:queues", f"rq:queue:{evil}")
    redis.hset("rq:job:marked", mapping={"origin": evil, "exc_info": evil})
    for address in ("", "0/view/jobs", "0/view/workers", "0/view/job/marked", f"0/view/jobs/{QUEUE}/queued/8/dsc/1"):
        page = ops.get(f"/admin/queues/{address}", follow_redirects=True)
        assert page.status_code == 200, address
        assert "<img src=x" not in page.text, address
        assert "<script>" not in page.text, address
    for address in ("0/data/queues.json", "0/data/job/marked.json", f"0/data/jobs/{QUEUE}/queued/8/dsc/1.json"):
        assert ops.get(f"/admin/queues/{address}").content_type == "application/json"


def test_what_was_changed_by_hand_is_in_the_audit_log(ops: FlaskClient, redis: Redis) -> None:
    token = re.search(r"'X-CSRFToken': \"([^\"]+)\"", ops.get("/admin/queues/").text)
    assert token
    assert ops.post(EMPTY, headers={"X-CSRFToken": token[1]}).status_code == 200
    entries, _ = audit.page(OPERATOR, audit.AuditFilter(action=audit.Action.QUEUE_CHANGED))
    assert [(entry.actor, entry.subject) for entry in entries] == [("user 1", f"empty_queue {QUEUE} queued")]


UNREADABLE = [
    ("rq:job:odd", {"meta": b"\xff"}),
    ("rq:job:odd", {"exc_info": b"\xff\xfe", "worker_name": b"\xff"}),
    ("rq:job:odd", {"status": "melted"}),
    ("rq:job:odd", {"created_at": "yesterday"}),
    ("rq:job:odd", {"result_ttl": "long", "timeout": "x"}),
    ("rq:job:odd", {"data": b"\x00"}),
    ("rq:job:odd", {"data": json.dumps(["app.tasks.resolve"])}),
    ("rq:worker:odd", {"pid": "many"}),
    ("rq:worker:odd", {"birth": "x", "queues": b"\xff"}),
    ("rq:worker:odd", {"current_job": "odd", "pid": "1"}),
]


@pytest.mark.parametrize(("key", "fields"), UNREADABLE, ids=range(len(UNREADABLE)))
def test_an_unreadable_entry_hides_no_other(ops: FlaskClient, redis: Redis, key: str, fields: dict[Any, Any]) -> None:
    queue.enqueue(queue.RESOLVE, 2, job_id="odd")
    redis.zadd(f"rq:failed:{QUEUE}", {RUN: 9e9, "odd": 9e9})
    redis.hset("rq:worker:well", mapping={"pid": "7", "queues": QUEUE, "state": "idle"})
    redis.sadd("rq:workers", "rq:worker:well", "rq:worker:odd")
    redis.sadd("rq:queues", b"rq:queue:\xff", "nonsense")
    redis.hset("rq:worker:odd", mapping={"pid": "8", "queues": QUEUE, "state": "idle"})
    redis.hset(key, mapping=fields)
    if key == "rq:worker:odd" and "current_job" in fields:
        redis.hset("rq:job:odd", "created_at", "yesterday")
    for registry in ("queued", "failed"):
        listed = ops.get(f"/admin/queues/0/data/jobs/{QUEUE}/{registry}/8/asc/1.json")
        assert listed.status_code == 200
        assert RUN in {job["id"] for job in listed.get_json()["jobs"]}
        assert ops.get(f"/admin/queues/0/view/jobs/{QUEUE}/{registry}/8/asc/1").status_code == 200
    workers = ops.get("/admin/queues/0/data/workers.json")
    assert "well" in {worker["name"] for worker in workers.get_json()["workers"]}
    for address in ("", "0/view/workers", "0/data/queues.json", f"0/data/job/{RUN}.json"):
        assert ops.get(f"/admin/queues/{address}").status_code == 200, address
    for address in ("0/data/job/odd.json", "0/view/job/odd"):
        assert ops.get(f"/admin/queues/{address}").status_code < 500, address
