"""The Jobs page: start, follow, cancel and retry jobs. The code calls a job a run."""

from typing import Any

from flask import Blueprint, Response, flash, request

from app import clock
from app.errors import Invalid
from app.inbox import layout
from app.inbox.layout import AccountSelection
from app.labels import label
from app.runs import failures, lifecycle, notifications, progress, run_request
from app.runs.notifications import Notification
from app.viewer import Role
from app.web import account_selection, conditional, rendering, session

blueprint = Blueprint("jobs", __name__, url_prefix="/jobs")

CHANGED = {"jobs:changed": True}
RETIMED_SECONDS = 10  # the panel of a running job shows times and the budget, which change without a commit
FEW = 5  # contacts not resolved that are shown before "Show all"


@blueprint.get("")
def index() -> Response:
    """Show active jobs, contacts not resolved, and ended jobs."""
    selection = _selection()
    shown = _live(selection) | _unresolved() | _history()
    return rendering.render("jobs/page.html", None, selection=selection, **shown)


@blueprint.get("/live")
def live() -> Response:
    """Return the active jobs alone, polled. Announces each change once."""
    selection, watched = _selection(), conditional.carried()
    unchanged = conditional.is_unchanged(_token(selection, _version(selection), watching=len(watched) > 1))
    if unchanged:
        return unchanged
    shown = _live(selection)
    news = (
        notifications.changes_since(session.viewer(), watched, shown["jobs"])
        if conditional.remembers()
        else Notification()
    )
    changed = shown["ended_word"] not in watched if conditional.remembers() else not shown["jobs"]
    events = _events(news, changed=changed)
    return rendering.render(None, "jobs/_live.html", selection=selection, home=_home(selection), events=events, **shown)


@blueprint.get("/unresolved")
def unresolved_() -> Response:
    """Return the contacts that a job could not resolve."""
    return rendering.render(None, "jobs/_unresolved.html", home=_home(_selection()), **_unresolved())


@blueprint.get("/history")
def history() -> Response:
    """Return the ended jobs."""
    return rendering.render(None, "jobs/_history.html", home=_home(_selection()), **_history())


@blueprint.get("/new")
def new() -> Response:
    """Show the options of a job and its estimate."""
    selection, chosen = _selection(), run_request.parse(request.args)
    try:
        cost = run_request.estimate(session.viewer(), selection.account_id, chosen) if selection.account_id else None
    except Invalid as error:
        return _options(selection, status=422, chosen=chosen, cost=None, errors=error.fields)
    return _options(selection, chosen=chosen, cost=cost, errors={})


@blueprint.post(f"/<any({', '.join(progress.RunKind)}):kind>")
def start(kind: str) -> Response:
    """Start a job for the account."""
    selection, chosen = _selection(), run_request.parse(request.form, kind)
    run_request.start(session.viewer(), selection.account_id, chosen)
    return _changed(selection, f"{label(chosen.kind)} queued.")


@blueprint.post("/<run_id>/cancel")
def cancel(run_id: str) -> Response:
    """Cancel a job. It stops after the current contact."""
    run = progress.get_progress(session.viewer(), run_id)
    lifecycle.cancel(session.viewer(), run_id)
    return _changed(_selection(run.ig_account_id), "Canceling. The job stops after the current contact.")


@blueprint.post("/<run_id>/retry")
def retry(run_id: str) -> Response:
    """Retry a job's failed contacts, except those that a retry cannot help."""
    run = progress.get_progress(session.viewer(), run_id)
    return _changed(_selection(run.ig_account_id), failures.retry_failed(session.viewer(), run_id).text)


def _options(selection: AccountSelection, *, status: int = 200, **shown: Any) -> Response:
    shown |= {"account": selection.ig_account_id, "operates": session.viewer().may(Role.OPS)}
    return rendering.render("jobs/new.html", "jobs/_estimate.html", selection=selection, status=status, **shown)


def _selection(ig_account_id: str | None = None) -> AccountSelection:
    return account_selection.select(session.viewer(), ig_account_id=ig_account_id or request.values.get("account"))


def _home(selection: AccountSelection) -> str:
    return f"/jobs?account={selection.ig_account_id}" if selection.ig_account_id else "/jobs"


def _changed(selection: AccountSelection, message: str) -> Response:
    if not rendering.wants_part():
        flash(message)
    events = CHANGED | rendering.toast(message)
    return rendering.render(
        None, "jobs/_live.html", selection=selection, home=_home(selection), events=events, **_live(selection)
    )


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
        "token": conditional.carrying(_token(selection, version, watching=bool(jobs)), seen),
    }


def _version(selection: AccountSelection) -> str | None:
    versions = [conditional.version(account_id) for account_id, _, _ in selection.accounts]
    return None if None in versions else "".join(map(str, versions))


def _token(selection: AccountSelection, version: str | None, *, watching: bool) -> str | None:
    moment = int(clock.now().timestamp()) // RETIMED_SECONDS if watching else None
    return conditional.token(session.viewer(), selection.account_id, version, "jobs", moment)


def _events(news: Notification, *, changed: bool) -> dict[str, Any]:
    if news.ended:
        return CHANGED | rendering.toast(news.ended, bad=news.bad)
    events: dict[str, Any] = {"announce": {"text": news.heard}} if news.heard else {}
    return events | ({"jobs:failed": True} if news.failed else {}) | (CHANGED if changed else {})


def _unresolved() -> dict[str, Any]:
    viewer = session.viewer()
    chosen = request.args.get("job")
    last = progress.get_progress(viewer, chosen) if chosen else progress.latest_reported(viewer)
    contacts = failures.failed_contacts(viewer, last.run_id) if last else []
    everyone = request.args.get("show") == "all"
    return {
        "last": last,
        "unresolved": contacts if everyone else contacts[:FEW],
        "contacts": len(contacts),
        "hopeful": sum(contact.can_recover for contact in contacts),
        "looking": any(contact.in_progress for contact in contacts),
        "chosen": chosen,
        "everyone": everyone,
        "operates": viewer.may(Role.OPS),
    }


def _history() -> dict[str, Any]:
    viewer = session.viewer()
    retried = [run for run in progress.active_runs(viewer) if run.finished_at]
    ended = progress.history(viewer)
    return {"history": sorted([*retried, *ended], key=lambda run: run.created_at, reverse=True)}
