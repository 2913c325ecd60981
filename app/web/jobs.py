"""Jobs: starting, watching and ending runs. "Job" is the word outside, "run" the one inside (house.md 9)."""

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
RETIMED_SECONDS = 10  # a running job's panel shows times and the budget, which change on their own
FEW = 5  # people not resolved that are shown until somebody asks for all


@blueprint.get("")
def index() -> Response:
    """What runs, who was not resolved, what has ended."""
    desk = _desk()
    shown = _live(desk) | _unresolved() | _history()
    return rendering.render("jobs/page.html", None, desk=desk, **shown)


@blueprint.get("/live")
def live() -> Response:
    """Return the active jobs alone, polled; each change of theirs is reported once."""
    desk, watched = _desk(), conditional.carried()
    unchanged = conditional.is_unchanged(_token(desk, _version(desk), watching=len(watched) > 1))
    if unchanged:
        return unchanged
    shown = _live(desk)
    told = (
        notifications.changes_since(session.viewer(), watched, shown["jobs"])
        if conditional.remembers()
        else Notification()
    )
    changed = shown["ended_word"] not in watched if conditional.remembers() else not shown["jobs"]
    events = _told(told, changed=changed)
    return rendering.render(None, "jobs/_live.html", desk=desk, home=_home(desk), events=events, **shown)


@blueprint.get("/unresolved")
def unresolved_() -> Response:
    """The contacts that one job could not resolve."""
    return rendering.render(None, "jobs/_unresolved.html", home=_home(_desk()), **_unresolved())


@blueprint.get("/history")
def history() -> Response:
    """The jobs that have ended."""
    return rendering.render(None, "jobs/_history.html", home=_home(_desk()), **_history())


@blueprint.get("/new")
def new() -> Response:
    """What may be chosen before a start, and what it would cost."""
    desk, chosen = _desk(), run_request.parse(request.args)
    try:
        cost = run_request.estimate(session.viewer(), desk.account_id, chosen) if desk.account_id else None
    except Invalid as error:
        return _options(desk, status=422, chosen=chosen, cost=None, errors=error.fields)
    return _options(desk, chosen=chosen, cost=cost, errors={})


@blueprint.post(f"/<any({', '.join(progress.RunKind)}):kind>")
def start(kind: str) -> Response:
    """Start a job for the account."""
    desk, chosen = _desk(), run_request.parse(request.form, kind)
    run_request.start(session.viewer(), desk.account_id, chosen)
    return _changed(desk, f"{label(chosen.kind)} queued.")


@blueprint.post("/<run_id>/cancel")
def cancel(run_id: str) -> Response:
    """End a job after its present person."""
    run = progress.get_progress(session.viewer(), run_id)
    lifecycle.cancel(session.viewer(), run_id)
    return _changed(_desk(run.ig_account_id), "The job ends after the present person.")


@blueprint.post("/<run_id>/retry")
def retry(run_id: str) -> Response:
    """Retry a job's failed contacts, as far as that can help."""
    run = progress.get_progress(session.viewer(), run_id)
    return _changed(_desk(run.ig_account_id), failures.retry_failed(session.viewer(), run_id).text)


def _options(desk: AccountSelection, *, status: int = 200, **shown: Any) -> Response:
    shown |= {"account": desk.ig_account_id, "operates": session.viewer().may(Role.OPS)}
    return rendering.render("jobs/new.html", "jobs/_estimate.html", desk=desk, status=status, **shown)


def _desk(ig_account_id: str | None = None) -> AccountSelection:
    return account_selection.select(session.viewer(), ig_account_id=ig_account_id or request.values.get("account"))


def _home(desk: AccountSelection) -> str:
    return f"/jobs?account={desk.ig_account_id}" if desk.ig_account_id else "/jobs"


def _changed(desk: AccountSelection, words: str) -> Response:
    if not rendering.wants_part():
        flash(words)
    events = CHANGED | rendering.toast(words)
    return rendering.render(None, "jobs/_live.html", desk=desk, home=_home(desk), events=events, **_live(desk))


def _live(desk: AccountSelection) -> dict[str, Any]:
    version = _version(desk)  # first: what changes while the rows are read is shown by the next poll
    viewer = session.viewer()
    jobs = progress.active_runs(viewer)
    ended_word = progress.ended(viewer)
    seen = [ended_word, *(notifications.run_state_key(run) for run in jobs)]
    return {
        "jobs": jobs,
        "ended_word": ended_word,
        "ended": None if jobs else progress.just_ended(viewer),
        "hours": {run.account_id: layout.forecast(run.account_id) for run in jobs},
        "account": desk.ig_account_id,
        "operates": viewer.may(Role.OPS),
        "administers": viewer.may(Role.ADMIN),
        "now": clock.now(),
        "token": conditional.carrying(_token(desk, version, watching=bool(jobs)), seen),
    }


def _version(desk: AccountSelection) -> str | None:
    versions = [conditional.version(account_id) for account_id, _, _ in desk.accounts]
    return None if None in versions else "".join(map(str, versions))


def _token(desk: AccountSelection, version: str | None, *, watching: bool) -> str | None:
    moment = int(clock.now().timestamp()) // RETIMED_SECONDS if watching else None
    return conditional.token(session.viewer(), desk.account_id, version, "jobs", moment)


def _told(told: Notification, *, changed: bool) -> dict[str, Any]:
    if told.ended:
        return CHANGED | rendering.toast(told.ended, bad=told.bad)
    events: dict[str, Any] = {"announce": {"text": told.heard}} if told.heard else {}
    return events | ({"jobs:failed": True} if told.failed else {}) | (CHANGED if changed else {})


def _unresolved() -> dict[str, Any]:
    viewer = session.viewer()
    chosen = request.args.get("job")
    last = progress.get_progress(viewer, chosen) if chosen else progress.latest_reported(viewer)
    people = failures.failed_contacts(viewer, last.run_id) if last else []
    everyone = request.args.get("show") == "all"
    return {
        "last": last,
        "unresolved": people if everyone else people[:FEW],
        "people": len(people),
        "hopeful": sum(person.can_recover for person in people),
        "looking": any(person.in_progress for person in people),
        "chosen": chosen,
        "everyone": everyone,
        "operates": viewer.may(Role.OPS),
    }


def _history() -> dict[str, Any]:
    viewer = session.viewer()
    retried = [run for run in progress.active_runs(viewer) if run.finished_at]
    ended = progress.history(viewer)
    return {"history": sorted([*retried, *ended], key=lambda run: run.created_at, reverse=True)}
