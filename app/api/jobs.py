"""Endpoints for jobs: plan, start, follow, pause, cancel, retry."""

import re
import threading
from functools import cache
from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from app import clock, settings
from app.accounts import listing
from app.accounts.listing import ListedAccount
from app.api import auth, cursors
from app.api.responses import Job, JobItemPage, JobList, JobPlan, JobResult, JobStarted, RetriedJob
from app.api.schemas import (
    BackfillRequest,
    ByAccount,
    ById,
    ItemsQuery,
    LocationQuery,
    PlanQuery,
    RecentRequest,
    RetryRequest,
    SelectedRefreshRequest,
    Waiting,
)
from app.models.run import RunKind, RunScope
from app.runs import failures, item_listing, lifecycle, plan, progress, retries, run_request, sync_job
from app.runs.progress import Progress
from app.runs.selection import Selection
from app.viewer import Role, Viewer

JOBS = Tag(
    name="Jobs",
    description="Look contacts up or sync conversations: plan, start, follow, pause, cancel and retry jobs.",
)
LONGEST_WAIT = 25  # seconds that a request may wait for a job
POLL_SECONDS = 0.25
ERRORS = 50
_PREFER = re.compile(r"\bwait=([0-9]{1,3})\b", re.ASCII)
Answer = tuple[dict[str, Any], int, dict[str, str]]
_STARTED: Any = {200: JobResult, 202: JobStarted}


def register(api: APIBlueprint) -> None:
    """Add the endpoints of jobs to `api`."""
    _register_starts(api)

    @api.get(
        "/api/jobs",
        tags=[JOBS],
        summary="List jobs",
        description="Active jobs, and the newest 100 that ended, of the last 90 days.",
        responses={200: JobList},
    )
    def list_jobs() -> dict[str, Any]:
        viewer = auth.viewer()
        found = [*progress.active_runs(viewer), *progress.history(viewer, limit=100)]
        return {"data": [progress.as_dict(each) for each in found]}

    @api.get("/api/jobs/<id>", tags=[JOBS], summary="Get a job", responses={200: Job})
    def get_job(path: ById) -> dict[str, Any]:
        return progress.as_dict(progress.get_progress(auth.viewer(), path.id))

    @api.get("/api/jobs/<id>/items", tags=[JOBS], summary="List the contacts in a job", responses={200: JobItemPage})
    def list_job_items(path: ById, query: ItemsQuery) -> dict[str, Any]:
        of = ("items", path.id, query.state, query.reason)
        after = cursors.row(query.cursor, *of) or 0
        want = item_listing.parse_filter(state=query.state, reason=query.reason, limit=query.limit, after=after)
        page = item_listing.list_items(auth.viewer(), path.id, want)
        data = [item_listing.as_dict(each) for each in page.rows]
        return {"data": data, "nextCursor": cursors.seal(page.after, *of)}

    @api.post(
        "/api/jobs/<id>/cancel",
        tags=[JOBS],
        summary="Cancel a job",
        description="Stops after the contact being looked up. Results so far are kept.",
        responses={202: Job},
    )
    def cancel_job(path: ById) -> tuple[dict[str, Any], int]:
        viewer = auth.viewer()
        lifecycle.cancel(viewer, path.id)
        return progress.as_dict(progress.get_progress(viewer, path.id)), 202

    @api.post(
        "/api/jobs/<id>/pause",
        tags=[JOBS],
        summary="Pause a job",
        description="Stops after the contact being looked up, until the job is resumed. It stays the active job.",
        responses={202: Job},
    )
    def pause_job(path: ById) -> tuple[dict[str, Any], int]:
        viewer = auth.viewer()
        lifecycle.pause(viewer, path.id)
        return progress.as_dict(progress.get_progress(viewer, path.id)), 202

    @api.post("/api/jobs/<id>/resume", tags=[JOBS], summary="Resume a paused job", responses={202: Job})
    def resume_job(path: ById) -> tuple[dict[str, Any], int]:
        viewer = auth.viewer()
        lifecycle.resume(viewer, path.id)
        return progress.as_dict(progress.get_progress(viewer, path.id)), 202

    @api.post(
        "/api/jobs/<id>/retry",
        tags=[JOBS],
        summary="Retry a job",
        description="Looks up the failed contacts again, except those that a retry cannot help. The body may name the "
        "reasons to retry.",
        responses={202: RetriedJob},
    )
    def retry_job(path: ById, body: RetryRequest) -> tuple[dict[str, Any], int]:
        viewer = auth.viewer()
        result = retries.retry(viewer, path.id, body.reasons)
        left_out = [{"reason": reason, "contacts": number} for reason, number in result.left_out.items()]
        job = progress.as_dict(progress.get_progress(viewer, path.id))
        return job | {"retried": result.contacts, "leftOut": left_out}, 202


def _register_starts(api: APIBlueprint) -> None:
    @api.get(
        "/api/workers/backfill-profiles/plan",
        tags=[JOBS],
        summary="Plan a backfill",
        description="How many unknown contacts a backfill can name, who stays unknown and why, and what it costs.",
        responses={200: JobPlan},
    )
    def plan_backfill(query: PlanQuery) -> dict[str, Any]:
        viewer = auth.viewer()
        account = listing.by_ig_id(viewer, query.accountId)
        return plan.as_dict(plan.get_plan(viewer, Selection(account.id, RunKind.BACKFILL)))

    @api.post(
        "/api/workers/backfill-profiles",
        tags=[JOBS],
        summary="Start a backfill",
        description="Looks up all unknown contacts of an account.",
        responses=_STARTED,
    )
    def start_backfill(body: BackfillRequest, header: Waiting) -> Answer:
        viewer = auth.viewer()
        account = _account(viewer, body.accountId)
        run_id = lifecycle.start(viewer, account.id, kind=RunKind.BACKFILL, batch_size=body.batchSize)
        return _started(viewer, run_id, header.prefer)

    @api.post(
        "/api/social/instagram/inbox/refresh-identities",
        tags=[JOBS],
        summary="Start a refresh",
        description="Looks up every contact of the account's conversations and of the last 30 days.",
        responses=_STARTED,
    )
    def start_refresh(query: LocationQuery, header: Waiting) -> Answer:
        viewer = auth.viewer()
        account = _of_location(viewer, query.locationId)
        return _started(viewer, lifecycle.start(viewer, account.id, kind=RunKind.REFRESH), header.prefer)

    @api.post(
        "/api/social/instagram/messages/backfill",
        tags=[JOBS],
        summary="Start a backfill of recent contacts",
        description="Looks up at most 50 unknown contacts who wrote within `days` days.",
        responses=_STARTED,
    )
    def start_recent_backfill(query: RecentRequest, header: Waiting) -> Answer:
        viewer = auth.viewer()
        account = _of_location(viewer, query.locationId)
        return _started(
            viewer, lifecycle.start(viewer, account.id, kind=RunKind.BACKFILL, days=query.days), header.prefer
        )

    @api.post(
        "/api/accounts/<id>/sync",
        tags=[JOBS],
        summary="Start a conversation sync",
        description="Fetches missed messages and history from Meta's Conversations API, newest conversations first.",
        responses={202: JobStarted},
    )
    def start_sync(path: ByAccount) -> Answer:
        viewer = auth.viewer()
        return _started(viewer, sync_job.start(viewer, _account(viewer, path.id).id), "")

    @api.post(
        "/api/identities/refresh",
        tags=[JOBS],
        summary="Start a refresh of some identities",
        description="Looks up the identities that match the filter, or those in `identityIds`, again.",
        responses=_STARTED,
    )
    def start_selected_refresh(body: SelectedRefreshRequest, header: Waiting) -> Answer:
        viewer = auth.viewer()
        account = _account(viewer, body.accountId)
        scope = RunScope.FILTER if body.identityIds is None else RunScope.CHOSEN
        fields = {"scope": scope, "state": body.state or "", "reason": body.reason or "", "q": body.q}
        request = run_request.parse(fields, identities=body.identityIds)
        return _started(viewer, run_request.start(viewer, account.id, request), header.prefer)


def _account(viewer: Viewer, ig_account_id: str) -> ListedAccount:
    viewer.require(Role.OPS)  # first: a token that may start nothing does not learn which accounts exist
    return listing.by_ig_id(viewer, ig_account_id)


def _of_location(viewer: Viewer, location_id: str) -> ListedAccount:
    viewer.require(Role.OPS)
    return listing.by_location(viewer, location_id)


def _started(viewer: Viewer, run_id: str, prefer: str) -> Answer:
    seconds = _wait_seconds(prefer)
    run = progress.get_progress(viewer, run_id)
    if seconds and _waiting_slots().acquire(blocking=False):
        try:
            run = _await_end(viewer, run, seconds)
        finally:
            _waiting_slots().release()
        if not run.active:
            return _result(viewer, run), 200, {"Preference-Applied": f"wait={seconds}"}
    queued = {"jobId": run_id, "status": "queued", "estimatedDuration": run.seconds_left, "total": run.total}
    return queued, 202, {"Location": f"/api/jobs/{run_id}"}


def _wait_seconds(prefer: str) -> int:
    found = _PREFER.search(prefer)
    return min(int(found[1]), LONGEST_WAIT) if found else 0


@cache
def _waiting_slots() -> threading.BoundedSemaphore:
    # A waiting request occupies a thread: at most a quarter of the threads may wait, other requests get 202.
    return threading.BoundedSemaphore(settings.current().web_threads // 4)


def _await_end(viewer: Viewer, run: Progress, seconds: int) -> Progress:
    until = clock.monotonic() + seconds
    while run.active and clock.monotonic() < until:
        clock.sleep(POLL_SECONDS)
        run = progress.get_current_progress(viewer, run.run_id)
    return run


def _result(viewer: Viewer, run: Progress) -> dict[str, Any]:
    failed = failures.failed_contacts(viewer, run.run_id, limit=ERRORS)
    errors = [{"participantPlatformId": each.ig_participant_id, "reason": each.what_happened} for each in failed]
    return {
        "jobId": run.run_id,
        "refreshed": run.resolved + run.fresh,
        "failed": run.failed,
        "total": run.total,
        "errors": errors,
    }
