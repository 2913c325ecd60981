"""Kinds of jobs: each has one record, and nothing else decides by kind."""

import ast
from pathlib import Path

from app import queue
from app.models.run import RunKind
from app.runs import kinds

APP = Path(__file__).parents[2] / "app"
NAMED = {  # files that name a single kind, besides the enum, its labels and its records
    "api/jobs.py": "an operation starts one kind",
    "runs/lifecycle.py": "the scheduler starts refreshes",
    "runs/sync_job.py": "a conversation sync has a module of its own",
    "runs/run_request.py": "a selection of contacts is refreshed",
}


def test_each_kind_has_a_record_with_a_task_and_a_scope_of_its_own() -> None:
    assert set(kinds.RULES) == set(RunKind)
    assert {rules.task for rules in kinds.RULES.values()} <= set(queue.TASKS)
    assert [kinds.with_scope(kinds.RULES[kind].scope) for kind in kinds.LOOKUPS] == [*kinds.LOOKUPS]
    assert [kind for kind in RunKind if kinds.syncs(kind)] == [kind for kind in RunKind if kind not in kinds.LOOKUPS]
    assert kinds.with_scope("a scope of a newer release") is RunKind.BACKFILL


def test_a_worker_serves_the_queue_of_each_task_those_who_write_now_first() -> None:
    assert set(queue.QUEUES) == {task.queue for task in queue.TASKS.values()}
    assert queue.QUEUES == ("resolve-participants", "refresh-identities", "backfill-participant-profiles")


def test_only_the_records_decide_by_kind() -> None:
    naming = {
        path.relative_to(APP).as_posix()
        for path in APP.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "RunKind"
    }
    assert naming == {"labels.py", "runs/kinds.py", *NAMED}
