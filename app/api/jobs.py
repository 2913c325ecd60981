"""Jobs, for programs: start, watch, cancel and retry them."""

import re
import threading
from functools import cache
from typing import Any

from flask import request
from flask_openapi3 import APIBlueprint

from app import clock, settings
from app.accounts import listing
from app.accounts.listing import ListedAccount
from app.api import cursors, door
from app.api.answers import Items, Job, Jobs, Queued, Result
from app.api.schemas import BackfillAsked, ById, ItemsAsked, LocationAsked, RecentAsked
from app.api.words import time
from app.models.run import Kind
from app.runs import items, plan, progress, unresolved
from app.runs.items import Item
from app.runs.progress import Progress
from app.viewer import Role, Viewer

LONGEST_WAIT = 25  # seconds that a program may wait for a job
LOOK_SECONDS = 0.25
ERRORS = 50
_PREFER = re.compile(r"\bwait=([0-9]{1,3})\b", re.ASCII)
Answer = tuple[dict[str, Any], int, dict[str, str]]
_STARTED: Any = {200: Result, 202: Queued}


def connect(api: APIBlueprint) -> None:
    """Add the addresses of jobs."""
    _connect_starts(api)

    @api.get("/api/jobs", summary="Jobs at work and those of the last seven days", responses={200: Jobs})
    def jobs() -> dict[str, Any]:
        viewer = door.viewer()
        found = [*progress.active(viewer), *progress.history(viewer, limit=100)]
        return {"data": [progress.as_dict(each) for each in found]}

    @api.get("/api/jobs/<id>", summary="One job", responses={200: Job})
    def job(path: ById) -> dict[str, Any]:
        return progress.as_dict(progress.of(door.viewer(), path.id))

    @api.get("/api/jobs/<id>/items", summary="The people of a job, and what became of each", responses={200: Items})
    def job_items(path: ById, query: ItemsAsked) -> dict[str, Any]:
        of = ("items", path.id, query.state)
        after = cursors.row(query.cursor, *of) or 0
        found, last = items.page(door.viewer(), path.id, state=query.state, limit=query.limit, after=after)
        return {"data": [_item(each) for each in found], "nextCursor": cursors.seal(last, *of)}

    @api.post("/api/jobs/<id>/cancel", summary="End a job after its present person", responses={202: Job})
    def cancel(path: ById) -> tuple[dict[str, Any], int]:
        viewer = door.viewer()
        plan.cancel(viewer, path.id)
        return progress.as_dict(progress.of(viewer, path.id)), 202

    @api.post("/api/jobs/<id>/retry", summary="Try its failed people again", responses={202: Job})
    def retry(path: ById) -> tuple[dict[str, Any], int]:
        viewer = door.viewer()
        plan.retry(viewer, path.id)
        return progress.as_dict(progress.of(viewer, path.id)), 202


def _connect_starts(api: APIBlueprint) -> None:
    @api.post("/api/workers/backfill-profiles", summary="Find the names of everyone without one", responses=_STARTED)
    def backfill(body: BackfillAsked) -> Answer:
        viewer = door.viewer()
        viewer.require(Role.OPS)
        account = listing.by_ig_id(viewer, body.accountId)
        return _started(viewer, plan.start(viewer, account.id, kind=Kind.BACKFILL, batch_size=body.batchSize))

    @api.post("/api/social/instagram/inbox/refresh-identities", summary="Look everyone up again", responses=_STARTED)
    def refresh(query: LocationAsked) -> Answer:
        viewer = door.viewer()
        account = _of_location(viewer, query.locationId)
        return _started(viewer, plan.start(viewer, account.id, kind=Kind.REFRESH))

    @api.post(
        "/api/social/instagram/messages/backfill",
        summary="Find the names of up to fifty people of the last days",
        responses=_STARTED,
    )
    def recent(query: RecentAsked) -> Answer:
        viewer = door.viewer()
        account = _of_location(viewer, query.locationId)
        return _started(viewer, plan.start(viewer, account.id, kind=Kind.BACKFILL, days=query.days))


def _of_location(viewer: Viewer, location_id: str) -> ListedAccount:
    viewer.require(Role.OPS)
    return listing.by_location(viewer, location_id)


def _started(viewer: Viewer, run_id: str) -> Answer:
    seconds = _wait_seconds()
    run = progress.of(viewer, run_id)
    if seconds and _seats().acquire(blocking=False):
        try:
            run = _awaited(viewer, run, seconds)
        finally:
            _seats().release()
        if not run.active:
            return _result(viewer, run), 200, {"Preference-Applied": f"wait={seconds}"}
    queued = {"jobId": run_id, "status": "queued", "estimatedDuration": run.seconds_left, "total": run.total}
    return queued, 202, {"Location": f"/api/jobs/{run_id}"}


def _wait_seconds() -> int:
    found = _PREFER.search(request.headers.get("Prefer", ""))
    return min(int(found[1]), LONGEST_WAIT) if found else 0


@cache
def _seats() -> threading.BoundedSemaphore:
    # Whoever waits holds a thread: at most a quarter of them may, the others are told to look again.
    return threading.BoundedSemaphore(settings.current().web_threads // 4)


def _awaited(viewer: Viewer, run: Progress, seconds: int) -> Progress:
    until = clock.monotonic() + seconds
    while run.active and clock.monotonic() < until:
        clock.sleep(LOOK_SECONDS)
        run = progress.anew(viewer, run.run_id)
    return run


def _result(viewer: Viewer, run: Progress) -> dict[str, Any]:
    failed = unresolved.of(viewer, run.run_id, limit=ERRORS)
    errors = [{"participantPlatformId": each.ig_participant_id, "reason": each.what_happened} for each in failed]
    return {
        "jobId": run.run_id,
        "refreshed": run.resolved + run.fresh,
        "failed": run.failed,
        "total": run.total,
        "errors": errors,
    }


def _item(one: Item) -> dict[str, Any]:
    return {
        "participantPlatformId": one.ig_participant_id,
        "state": one.state.value,
        "reason": one.reason,
        "code": one.code,
        "tries": one.tries,
        "calls": one.calls,
        "settledAt": time(one.settled_at),
        "nextTryAt": time(one.next_try_at),
    }
