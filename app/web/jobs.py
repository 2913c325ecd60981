"""The Jobs page and the page of each job: start, follow, pause, cancel and retry jobs. The code calls a job a run."""

import re
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, flash, request, stream_with_context

from app import clock, queue
from app.errors import Invalid
from app.inbox import layout
from app.inbox.layout import AccountSelection
from app.labels import label
from app.runs import (
    failures,
    item_listing,
    kinds,
    lifecycle,
    notifications,
    plan,
    progress,
    retries,
    run_request,
    sync_job,
)
from app.runs.item_listing import ItemFilter
from app.runs.notifications import Notification
from app.runs.plan import Phrase, Plan
from app.runs.progress import Progress, RunKind
from app.runs.run_request import RunRequest
from app.runs.sync_job import SyncPlan
from app.text import ROW_NUMBER
from app.viewer import Role
from app.web import account_selection, conditional, filters, rendering, session

blueprint = Blueprint("jobs", __name__, url_prefix="/jobs")

CHANGED = {"jobs:changed": True}
RETIMED_SECONDS = 10  # the panel of a running job shows times and the budget, which change without a commit
_MICROSECONDS = re.compile(r"[0-9]{1,16}", re.ASCII)  # of a time in this or the next centuries
FEW = 3  # contacts of each reason that are shown before "Show more"


@blueprint.app_template_filter("phrases")
def phrases(planned: Plan) -> list[Phrase]:
    """Return the sentence about a plan in pieces, with times in the user's time zone."""
    return plan.phrases(planned, filters.wall_clock)


@blueprint.app_template_filter("sync_sentence")
def sync_sentence(planned: SyncPlan) -> str:
    """Return the sentence about the plan of a sync, with times in the user's time zone."""
    return sync_job.plan_text(planned, filters.wall_clock)


@blueprint.get("")
def index() -> Response:
    """Show active jobs with the plans of new ones, contacts not resolved, and ended jobs."""
    selection = _selection()
    shown = _live(selection)
    shown |= _unresolved(shown["jobs"]) | _history(shown["jobs"]) | _plans(selection)
    return rendering.render("jobs/page.html", None, selection=selection, **shown)


@blueprint.get("/plans")
def plans() -> Response:
    """Return the plans of new jobs alone, after a job has changed them."""
    selection = _selection()
    return rendering.render(None, "jobs/_plans.html", selection=selection, home=_home(selection), **_plans(selection))


@blueprint.get("/live")
def live() -> Response:
    """Return the active jobs alone, polled. Announces each change once."""
    selection, watched = _selection(), conditional.carried()
    unchanged = conditional.is_unchanged(_token(selection, _version(selection), watching=len(watched) > 1))
    if unchanged:
        return unchanged
    shown = _live(selection)
    changed = shown["ended_word"] not in watched if conditional.remembers() else not shown["jobs"]
    events = _events(_news(shown["jobs"]), changed=changed)
    return rendering.render(None, "jobs/_live.html", selection=selection, home=_home(selection), events=events, **shown)


@blueprint.get("/unresolved")
def unresolved_() -> Response:
    """Return the contacts that a job could not resolve."""
    shown = _unresolved(progress.active_runs(session.viewer()))
    return rendering.render(None, "jobs/_unresolved.html", home=_home(_selection()), **shown)


@blueprint.get("/history")
def history() -> Response:
    """Return the ended jobs."""
    shown = _history(progress.active_runs(session.viewer()))
    return rendering.render(None, "jobs/_history.html", home=_home(_selection()), **shown)


@blueprint.get("/new")
def new() -> Response:
    """Show the options of a job and its plan. Contacts may be selected on the Identities page."""
    selection, chosen = _selection(), _request(request.args)
    try:
        planned = run_request.plan(session.viewer(), selection.account_id, chosen) if selection.account_id else None
    except Invalid as error:
        return _options(selection, status=422, chosen=chosen, plan=None, errors=error.fields)
    return _options(selection, chosen=chosen, plan=planned, errors={})


@blueprint.post(f"/<any({', '.join(progress.RunKind)}):kind>")
def start(kind: str) -> Response:
    """Start a job for the account."""
    if kinds.syncs(RunKind(kind)):
        selection = _selection()
        sync_job.start(session.viewer(), selection.account_id)
        return _changed(selection, f"{label(RunKind(kind))} queued.")
    selection, chosen = _selection(), _request(request.form, kind)
    run_id = run_request.start(session.viewer(), selection.account_id, chosen)
    message = f"{label(chosen.kind)} queued."
    if chosen.scope in ("filter", "chosen"):
        flash(message)
        return rendering.hx_redirect(f"/jobs/{run_id}")
    return _changed(selection, message)


@blueprint.get("/<string(length=12):run_id>")
def show(run_id: str) -> Response:
    """Show a job: its progress, and its contacts by state, reason and search."""
    viewer = session.viewer()
    run = progress.get_progress(viewer, run_id)
    selection, want = _selection(run.ig_account_id), _item_filter()
    token = _run_token(selection, run, want, watching=False)
    polled = rendering.wants_part()
    unchanged = conditional.is_unchanged(token) if polled else None
    if unchanged:
        return unchanged
    shown: dict[str, Any] = {
        "job": run,
        "operates": viewer.may(Role.OPS),
        "items_token": token,
        "items": item_listing.list_items(viewer, run_id, want),
        "counts": item_listing.count_items(viewer, run_id),
        "want": want,
    }
    if not polled:
        shown |= _panel(run, _panel_token(selection, run))
        shown["queue_kept"] = viewer.sees_queues and queue.is_kept(run_id)
    return rendering.render("jobs/job.html", "jobs/_items.html", selection=selection, **shown)


@blueprint.get("/<run_id>/live")
def show_live(run_id: str) -> Response:
    """Return the progress of one job alone, polled. Announces each change once."""
    run = progress.get_progress(session.viewer(), run_id)
    selection = _selection(run.ig_account_id)
    token = _panel_token(selection, run)
    unchanged = conditional.is_unchanged(token)
    if unchanged:
        return unchanged
    events = _events(_news([run] if run.active else []), changed=False)
    return _render_panel(selection, run, token, events)


@blueprint.get("/<run_id>/items.csv")
def export(run_id: str) -> Response:
    """Export the contacts of a job that match the state, reason and search."""
    progress.get_progress(session.viewer(), run_id)
    lines = item_listing.csv_lines(session.viewer(), run_id, _item_filter())
    response = Response(stream_with_context(lines), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="job-{run_id}.csv"'
    return response


@blueprint.post("/<run_id>/cancel")
def cancel(run_id: str) -> Response:
    """Cancel a job. It stops after the current contact."""
    progress.get_progress(session.viewer(), run_id)  # not found before not allowed
    lifecycle.cancel(session.viewer(), run_id)
    return _changed_run(run_id, "Canceling. The job stops after the current contact.")


@blueprint.post("/<run_id>/pause")
def pause(run_id: str) -> Response:
    """Pause a job after the current contact, until a user resumes it."""
    progress.get_progress(session.viewer(), run_id)
    lifecycle.pause(session.viewer(), run_id)
    return _changed_run(
        run_id, "Paused. No other job of this kind starts for the account until you resume or cancel it."
    )


@blueprint.post("/<run_id>/resume")
def resume(run_id: str) -> Response:
    """Resume a paused job."""
    progress.get_progress(session.viewer(), run_id)
    lifecycle.resume(session.viewer(), run_id)
    return _changed_run(run_id, "Resumed.")


@blueprint.post("/<run_id>/retry")
def retry(run_id: str) -> Response:
    """Retry a job's failed contacts, or those with some reasons, except those that a retry cannot help."""
    progress.get_progress(session.viewer(), run_id)
    reasons = request.form.getlist("reason") or None
    return _changed_run(run_id, retries.retry(session.viewer(), run_id, reasons).text)


def _request(fields: Any, kind: str | None = None) -> RunRequest:
    return run_request.parse(fields, kind, identities=fields.getlist("identity"))


def _item_filter() -> ItemFilter:
    after = request.args.get("after", "")
    return item_listing.parse_filter(
        state=request.args.get("state"),
        reason=request.args.get("reason"),
        q=request.args.get("q", ""),
        after=int(after) if ROW_NUMBER.fullmatch(after) else 0,
    )


def _plans(selection: AccountSelection) -> dict[str, Any]:
    viewer = session.viewer()
    if selection.account_id is None or not viewer.may(Role.OPS):
        return {"plans": {}, "sync_plan": None, "account": selection.ig_account_id}
    planned = {kind.value: run_request.plan(viewer, selection.account_id, RunRequest(kind)) for kind in kinds.LOOKUPS}
    sync_plan = sync_job.get_plan(viewer, selection.account_id)
    return {"plans": planned, "sync_plan": sync_plan, "account": selection.ig_account_id}


def _options(selection: AccountSelection, *, status: int = 200, **shown: Any) -> Response:
    shown |= {"account": selection.ig_account_id, "operates": session.viewer().may(Role.OPS)}
    return rendering.render("jobs/new.html", "jobs/_estimate.html", selection=selection, status=status, **shown)


def _selection(ig_account_id: str | None = None) -> AccountSelection:
    return account_selection.select(ig_account_id=ig_account_id or request.values.get("account"))


def _home(selection: AccountSelection) -> str:
    return f"/jobs?account={selection.ig_account_id}" if selection.ig_account_id else "/jobs"


def _changed(selection: AccountSelection, message: str) -> Response:
    events = _confirm(message)
    return rendering.render(
        None, "jobs/_live.html", selection=selection, home=_home(selection), events=events, **_live(selection)
    )


def _changed_run(run_id: str, message: str) -> Response:
    """Return the part that the user sees: of the Jobs page, or of the job's own."""
    run = progress.get_progress(session.viewer(), run_id)
    selection = _selection(run.ig_account_id)
    if request.form.get("view") != "job":
        return _changed(selection, message)
    return _render_panel(selection, run, _panel_token(selection, run), _confirm(message))


def _confirm(message: str) -> dict[str, Any]:
    return CHANGED | rendering.report(message)


def _render_panel(selection: AccountSelection, run: Progress, token: str | None, events: dict[str, Any]) -> Response:
    home = f"/jobs/{run.run_id}"
    shown = _panel(run, token)
    return rendering.render(None, "jobs/_panel.html", selection=selection, home=home, events=events, **shown)


def _panel(run: Progress, token: str | None) -> dict[str, Any]:
    viewer = session.viewer()
    return {
        "job": run,
        "hours": {run.account_id: layout.forecast(run.account_id)} if run.active else {},
        "operates": viewer.may(Role.OPS),
        "administers": viewer.may(Role.ADMIN),
        "now": clock.now(),
        "own_page": True,
        "panel_token": conditional.carrying(token, [notifications.run_state_key(run)] if run.active else []),
    }


def _panel_token(selection: AccountSelection, run: Progress) -> str | None:
    return _run_token(selection, run, watching=run.active)


def _run_token(selection: AccountSelection, run: Progress, *parts: object, watching: bool) -> str | None:
    version = conditional.version(run.account_id)
    return _token(selection, version, run.run_id, run.state, run.done, *parts, watching=watching)


def _news(jobs: list[Progress]) -> Notification:
    if not conditional.remembers():
        return Notification()
    return notifications.changes_since(session.viewer(), conditional.carried(), jobs)


def _live(selection: AccountSelection) -> dict[str, Any]:
    version = _version(selection)  # first, so that the next poll shows what changes while rows are read
    viewer = session.viewer()
    jobs = progress.active_runs(viewer)
    ended_word = progress.ended(viewer)
    seen = [ended_word, *(notifications.run_state_key(run) for run in jobs)]
    return {
        "jobs": jobs,
        "ended_word": ended_word,
        "ended": None if jobs else progress.just_ended(viewer),
        "hours": {run.account_id: layout.forecast(run.account_id) for run in jobs},
        "account": selection.ig_account_id,
        "operates": viewer.may(Role.OPS),
        "administers": viewer.may(Role.ADMIN),
        "now": clock.now(),
        "own_page": False,
        "token": conditional.carrying(_token(selection, version, watching=bool(jobs)), seen),
    }


def _version(selection: AccountSelection) -> str | None:
    versions = [conditional.version(account.id) for account in selection.accounts]
    return None if None in versions else "".join(map(str, versions))


def _token(selection: AccountSelection, version: str | None, *parts: object, watching: bool) -> str | None:
    moment = int(clock.now().timestamp()) // RETIMED_SECONDS if watching else None
    return conditional.token(session.viewer(), selection.account_id, version, "jobs", moment, *parts)


def _events(news: Notification, *, changed: bool) -> dict[str, Any]:
    if news.ended:
        return CHANGED | rendering.toast(news.ended, bad=news.bad)
    events: dict[str, Any] = {"announce": {"text": news.heard}} if news.heard else {}
    return events | ({"jobs:failed": True} if news.failed else {}) | (CHANGED if changed else {})


def _unresolved(active: list[Progress]) -> dict[str, Any]:
    viewer = session.viewer()
    chosen = request.args.get("job")
    last = progress.get_progress(viewer, chosen) if chosen else progress.latest_reported(viewer, active)
    contacts = failures.failed_contacts(viewer, last.run_id) if last else []
    everyone = request.args.get("show") == "all"
    groups = failures.by_reason(contacts)
    return {
        "last": last,
        "unresolved": groups,
        "most": len(contacts) if everyone else FEW,
        "contacts": len(contacts),
        "hidden": 0 if everyone else sum(max(0, len(group.contacts) - FEW) for group in groups),
        "hopeful": sum(contact.can_recover for contact in contacts),
        "looking": any(contact.in_progress for contact in contacts),
        "chosen": chosen,
        "everyone": everyone,
        "operates": viewer.may(Role.OPS),
    }


def _history(active: list[Progress]) -> dict[str, Any]:
    before = _before()
    retried = [run for run in active if run.finished_at and not before]
    ended = progress.history(session.viewer(), before=before)
    older = ended[-1].created_at if len(ended) == progress.HISTORY_ROWS else None
    listed = sorted([*retried, *ended], key=lambda run: run.created_at, reverse=True)
    return {"history": listed, "before": before, "older": clock.microseconds(older) if older else None}


def _before() -> datetime | None:
    before = request.args.get("before", "")
    return clock.from_microseconds(int(before)) if _MICROSECONDS.fullmatch(before) else None
