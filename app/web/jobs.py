"""Jobs: starting, watching and ending runs. "Job" is the word outside, "run" the one inside (house.md 9)."""

from typing import Any

from flask import Blueprint, Response, request

from app import clock
from app.errors import NotFound
from app.inbox import frame
from app.inbox.frame import Desk
from app.runs import plan, progress, unresolved
from app.runs.progress import Progress
from app.viewer import Role
from app.web import page, poll, session

blueprint = Blueprint("jobs", __name__, url_prefix="/jobs")

CHANGED = {"jobs:changed": True}
RETIMED_SECONDS = 10  # a running job's panel shows times and the budget, which change on their own


@blueprint.get("")
def index() -> Response:
    """What runs, who was not resolved, what has ended."""
    desk = _desk()
    shown = _live(desk) | _unresolved(desk) | _history(desk)
    return page.answer("jobs/page.html", None, desk=desk, **shown)


@blueprint.get("/live")
def live() -> Response:
    """What runs, alone: polled every 1.5 s while there is something, and telling once what has ended."""
    desk, watched = _desk(), poll.carried()
    unchanged = poll.unchanged(_token(desk, poll.version(desk.account_id), watching=bool(watched)))
    if unchanged:
        return unchanged
    shown = _live(desk)
    events = _news(watched, still={run.run_id for run in shown["jobs"]})
    return page.answer(None, "jobs/_live.html", desk=desk, home=_home(desk), events=events, **shown)


@blueprint.get("/unresolved")
def unresolved_() -> Response:
    """The people whom the newest job could not name."""
    desk = _desk()
    return page.answer(None, "jobs/_unresolved.html", home=_home(desk), **_unresolved(desk))


@blueprint.get("/history")
def history() -> Response:
    """The jobs that have ended."""
    desk = _desk()
    return page.answer(None, "jobs/_history.html", home=_home(desk), **_history(desk))


@blueprint.post("/<any(backfill, refresh):kind>")
def start(kind: str) -> Response:
    """Start a job for the account."""
    desk = _desk()
    if desk.account_id is None:
        raise NotFound("account")
    wanted, title = next((each, title) for each, title in progress.TITLES.items() if each.value == kind)
    plan.start(session.viewer(), desk.account_id, kind=wanted)
    return _changed(desk, f"{title} has started.")


@blueprint.post("/<run_id>/cancel")
def cancel(run_id: str) -> Response:
    """End a job after its present person."""
    run = progress.of(session.viewer(), run_id)
    plan.cancel(session.viewer(), run_id)
    return _changed(_desk(run.ig_account_id), "The job ends after the present person.")


@blueprint.post("/<run_id>/retry")
def retry(run_id: str) -> Response:
    """Put a job's failed people back to work."""
    run = progress.of(session.viewer(), run_id)
    people = plan.retry(session.viewer(), run_id)
    return _changed(_desk(run.ig_account_id), f"Trying {people} {'person' if people == 1 else 'people'} again.")


def _desk(ig_account_id: str | None = None) -> Desk:
    return frame.desk(session.viewer(), ig_account_id=ig_account_id or request.values.get("account") or None)


def _home(desk: Desk) -> str:
    return f"/jobs?account={desk.ig_account_id}" if desk.ig_account_id else "/jobs"


def _changed(desk: Desk, words: str) -> Response:
    events = CHANGED | page.toast(words)
    return page.answer(None, "jobs/_live.html", desk=desk, home=_home(desk), events=events, **_live(desk))


def _live(desk: Desk) -> dict[str, Any]:
    version = poll.version(desk.account_id)  # first: what changes while the rows are read is shown by the next poll
    jobs = progress.active(session.viewer(), desk.account_id) if desk.account_id else []
    return {
        "jobs": jobs,
        "forecast": frame.forecast(desk),
        "account": desk.ig_account_id,
        "operates": session.viewer().may(Role.OPS),
        "token": poll.carrying(_token(desk, version, watching=bool(jobs)), [run.run_id for run in jobs]),
    }


def _token(desk: Desk, version: str | None, *, watching: bool) -> str | None:
    moment = int(clock.now().timestamp()) // RETIMED_SECONDS if watching else None
    return poll.token(session.viewer(), desk.account_id, version, "jobs", moment)


def _news(watched: list[str], *, still: set[str]) -> dict[str, Any]:
    ended = [run for run in map(_progress, watched) if run and run.run_id not in still]
    if not ended:
        return {} if still else CHANGED
    words = " ".join(f"{run.title}: {run.resolved} resolved, {run.failed} failed." for run in ended)
    return CHANGED | page.toast(words, bad=any(run.failed or run.state == "failed" for run in ended))


def _progress(run_id: str) -> Progress | None:
    try:
        return progress.of(session.viewer(), run_id)
    except NotFound:
        return None  # an ETag is only what the browser says


def _unresolved(desk: Desk) -> dict[str, Any]:
    viewer = session.viewer()
    ended = progress.history(viewer, account_id=desk.account_id, limit=1) if desk.account_id else []
    last = ended[0] if ended else None
    people = unresolved.of(viewer, last.run_id) if last else []
    return {"last": last, "unresolved": people, "account": desk.ig_account_id, "operates": viewer.may(Role.OPS)}


def _history(desk: Desk) -> dict[str, Any]:
    ended = progress.history(session.viewer(), account_id=desk.account_id) if desk.account_id else []
    return {"history": ended, "account": desk.ig_account_id}
