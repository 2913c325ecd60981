"""The Schedules page: what the scheduler does on time; run it now, or switch it off. For ops and admins."""

from typing import Any

from flask import Blueprint, Response

from app import heartbeats, schedules
from app.web import account_selection, rendering, session

blueprint = Blueprint("schedules", __name__, url_prefix="/schedules")

HOME = "/schedules"
ACTIONS = {
    "run": (schedules.run_now, "{} runs within seconds."),
    "off": (schedules.switch_off, "{} is off."),
    "on": (schedules.switch_on, "{} is on."),
}


@blueprint.get("")
def index() -> Response:
    """Show every schedule."""
    shown = _shown()
    selection = account_selection.select()
    return rendering.render("schedules/page.html", "schedules/_schedules.html", selection=selection, **shown)


@blueprint.post(f"/<name>/<any({', '.join(ACTIONS)}):action>")
def change(name: str, action: str) -> Response:
    """Run a schedule now, or switch it off or on."""
    change_, sentence = ACTIONS[action]
    change_(session.viewer(), name)
    events = rendering.report(sentence.format(schedules.BY_NAME[name].title))
    return rendering.render(None, "schedules/_schedules.html", home=HOME, events=events, **_shown())


def _shown() -> dict[str, Any]:
    viewer = session.viewer()
    return {
        "schedules": schedules.list_schedules(viewer),
        "changes": schedules.may_change(viewer),
        "dead": None if heartbeats.scheduler_runs() else schedules.DEAD,
    }
