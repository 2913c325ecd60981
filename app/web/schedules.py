"""The Schedules pages: what the scheduler does on time; run it now, or switch it off. For ops and admins."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, request

from app import heartbeats, schedules
from app.accounts import listing
from app.errors import Invalid
from app.web import account_selection, rendering, session

blueprint = Blueprint("schedules", __name__, url_prefix="/schedules")

HOME = "/schedules"


@blueprint.get("")
def index() -> Response:
    """Show every schedule."""
    shown = _shown()
    selection = account_selection.select()
    return rendering.render("schedules/page.html", "schedules/_schedules.html", selection=selection, **shown)


@blueprint.get("/<name>")
def schedule(name: str) -> Response:
    """Show a schedule, and switch it off or on for all accounts or one."""
    return _schedule(name)


@blueprint.post("/<name>/run")
def run(name: str) -> Response:
    """Run a schedule now."""
    schedules.run_now(session.viewer(), name)
    return _changed(name, "runs within seconds")


@blueprint.post("/<name>/off")
def switch_off(name: str) -> Response:
    """Switch a schedule off for all accounts or one."""
    viewer, form = session.viewer(), request.form
    asked = schedules.get_schedule(viewer, name).schedule
    if asked.warning and "confirmed" not in form:
        return _schedule(name, errors={"confirmed": "Select this box to confirm. Nothing was changed."})
    account = form.get("account") or None
    try:
        schedules.switch_off(viewer, name, ig_account_id=account, reason=form.get("reason"))
    except Invalid as error:
        return _schedule(name, errors=error.fields)
    return _changed(name, "is off")


@blueprint.post("/<name>/on")
def switch_on(name: str) -> Response:
    """Switch a schedule on for all accounts or one."""
    schedules.switch_on(session.viewer(), name, ig_account_id=request.form.get("account") or None)
    return _changed(name, "is on")


def _changed(name: str, does: str) -> Response:
    account = request.form.get("account")
    of = f" for {listing.by_ig_id(session.viewer(), account).name}" if account else ""
    events = rendering.report(f"{schedules.BY_NAME[name].title} {does}{of}.")
    home = f"{HOME}/{name}" if account is not None else HOME  # its form names the accounts
    return rendering.render(None, "schedules/_schedules.html", home=home, events=events, **_shown())


def _shown() -> dict[str, Any]:
    viewer = session.viewer()
    return {
        "schedules": schedules.list_schedules(viewer),
        "changes": schedules.may_change(viewer),
        "dead": None if heartbeats.scheduler_runs() else schedules.DEAD,
    }


def _schedule(name: str, *, errors: Mapping[str, str] | None = None) -> Response:
    viewer = session.viewer()
    return rendering.render(
        "schedules/schedule.html",
        None,
        selection=account_selection.select(),
        status=422 if errors else 200,
        listed=schedules.get_schedule(viewer, name),
        accounts=listing.accounts(viewer),
        changes=schedules.may_change(viewer),
        form=request.form,
        errors=errors or {},
    )
