"""Endpoints for alerts: list, acknowledge, mute and unmute an account."""

from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from app.alerts import lifecycle, listing, muting
from app.api import auth, row_ids
from app.api.responses import Alert, AlertList, MutedAlerts
from app.api.schemas import AlertsQuery, ByAccount, ById

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
        alert_id = row_ids.number(path.id, "alert")
        lifecycle.acknowledge(auth.viewer(), alert_id)
        return listing.as_dict(listing.get_alert(auth.viewer(), alert_id))

    @api.post(
        "/api/accounts/<id>/alerts/mute",
        tags=[ALERTS],
        summary="Mute the alerts of an account",
        description="They are listed, but sent to no alert receiver, until they are unmuted. `id` is the professional "
        "account ID.",
        responses={200: MutedAlerts},
    )
    def mute_alerts(path: ByAccount) -> dict[str, Any]:
        muting.mute(auth.viewer(), path.id)
        return _muted(path.id)

    @api.post(
        "/api/accounts/<id>/alerts/unmute",
        tags=[ALERTS],
        summary="Unmute the alerts of an account",
        description="Those that are still open are sent once they have been open for 30 minutes.",
        responses={200: MutedAlerts},
    )
    def unmute_alerts(path: ByAccount) -> dict[str, Any]:
        muting.unmute(auth.viewer(), path.id)
        return _muted(path.id)


def _muted(ig_account_id: str) -> dict[str, Any]:
    return muting.as_dict(auth.viewer(), ig_account_id)
