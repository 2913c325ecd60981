"""The Alerts page: what needs action now, and what has recovered. For ops and admins."""

from typing import Any

from flask import Blueprint, Response, flash, request

from app import findings
from app.alerts import lifecycle, listing, muting
from app.web import account_selection, rendering, session
from app.web.inbox import ID

blueprint = Blueprint("alerts", __name__, url_prefix="/alerts")

HOME = "/alerts"


@blueprint.get("")
def index() -> Response:
    """Show open alerts, and those that recovered."""
    return rendering.render(
        "alerts/page.html", "alerts/_alerts.html", selection=account_selection.select(), home=HOME, **_shown()
    )


@blueprint.post(f"/<{ID}:alert_id>/acknowledge")
def acknowledge(alert_id: int) -> Response:
    """Acknowledge an alert."""
    lifecycle.acknowledge(session.viewer(), alert_id)
    section = request.form.get("section")  # the bar, which is above pages of every section
    return rendering.render(
        None,
        "alerts/_alerts.html",
        selection=account_selection.select(),
        home=session.came_from() if section else HOME,
        section=section,
        events=rendering.report("Alert acknowledged."),
        **_shown(),
    )


@blueprint.post("/accounts/<ig_account_id>/<any(mute, unmute):action>")
def mute(ig_account_id: str, action: str) -> Response:
    """Mute or unmute the alerts of an account."""
    if action == "mute":
        muting.mute(session.viewer(), ig_account_id)
        flash("Alerts muted. They are listed here, and not sent until a user unmutes them.")
    else:
        muting.unmute(session.viewer(), ig_account_id)
        flash("Alerts unmuted.")
    return rendering.hx_redirect(session.came_from())


def _shown() -> dict[str, Any]:
    viewer = session.viewer()
    found = listing.list_alerts(viewer)
    return {
        "alerts": [each for each in found if each.state == "open"],
        "recovered": [each for each in found if each.state == "recovered"],
        "muted": muting.list_muted(viewer),
        "notice": findings.report(viewer).notice,
    }
