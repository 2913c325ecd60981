"""The Alerts page: what needs action now, and what has recovered. For ops and admins."""

from typing import Any

from flask import Blueprint, Response, request

from app import findings
from app.alerts import lifecycle, listing
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


def _shown() -> dict[str, Any]:
    viewer = session.viewer()
    found = listing.list_alerts(viewer)
    return {
        "alerts": [each for each in found if each.state == "open"],
        "recovered": [each for each in found if each.state == "recovered"],
        "notice": findings.report(viewer).notice,
    }
