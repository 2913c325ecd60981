"""Endpoints for alerts: list, acknowledge."""

from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from app.alerts import lifecycle, listing
from app.api import auth, formatting
from app.api.responses import Alert, AlertList
from app.api.schemas import AlertsQuery, ById

ALERTS = Tag(name="Alerts", description="Problems that need action: open once per cause and account, then recovered.")


def register(api: APIBlueprint) -> None:
    """Add the endpoints of alerts to `api`."""

    @api.get(
        "/api/alerts",
        tags=[ALERTS],
        summary="List alerts",
        description=(
            f"All open alerts, then the newest {listing.RECOVERED} that recovered within 90 days. "
            "A token for some accounts gets the alerts of these accounts only."
        ),
        responses={200: AlertList},
    )
    def list_alerts(query: AlertsQuery) -> dict[str, Any]:
        return {"data": [listing.as_dict(each) for each in listing.list_alerts(auth.viewer(), query.state)]}

    @api.post(
        "/api/alerts/<id>/acknowledge",
        tags=[ALERTS],
        summary="Acknowledge an alert",
        description="It stays open until the problem is solved, and no longer counts in the navigation.",
        responses={200: Alert},
    )
    def acknowledge_alert(path: ById) -> dict[str, Any]:
        alert_id = formatting.number(path.id, "alert")
        lifecycle.acknowledge(auth.viewer(), alert_id)
        return listing.as_dict(listing.get_alert(auth.viewer(), alert_id))
