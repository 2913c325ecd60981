"""Endpoints for alert receivers: list, add, change, rotate the secret, test, switch on, remove."""

from typing import Any, Literal

from flask_openapi3 import APIBlueprint, Tag

from app.alerts import outbox, receivers
from app.api import auth, row_ids
from app.api.responses import AlertReceiver, AlertReceiverList, NewAlertReceiver
from app.api.schemas import ById, ReceiverChange, ReceiverRequest

RECEIVERS = Tag(
    name="Alert receivers",
    description="URLs and email addresses that alerts are sent to. The token needs the scope `admin`, and access to "
    "all accounts.",
)


def register(api: APIBlueprint) -> None:
    """Add the endpoints of alert receivers to `api`."""

    @api.get(
        "/api/alert-receivers",
        tags=[RECEIVERS],
        summary="List alert receivers",
        description="All of them, the oldest first, without their secrets.",
        responses={200: AlertReceiverList},
    )
    def list_alert_receivers() -> dict[str, Any]:
        return {"data": [receivers.as_dict(each) for each in receivers.list_receivers(auth.viewer())]}

    @api.post(
        "/api/alert-receivers",
        tags=[RECEIVERS],
        summary="Add an alert receiver",
        description="The secret of a URL is in this answer only.",
        responses={201: NewAlertReceiver},
    )
    def add_alert_receiver(body: ReceiverRequest) -> tuple[dict[str, Any], int]:
        limited = body.accountIds
        added = receivers.add(
            auth.viewer(),
            body.address,
            events=receivers.CHOICES if body.events is None else body.events,
            account_ids=None if limited is None else receivers.find_accounts(auth.viewer(), limited),
            quiet=body.quietHours or "",
            zone=body.zone or "UTC",
        )
        return _receiver(added.id) | {"secret": added.secret}, 201

    @api.patch(
        "/api/alert-receivers/<id>",
        tags=[RECEIVERS],
        summary="Change an alert receiver",
        description="Fields that are left out stay as they are. The secret stays the same.",
        responses={200: AlertReceiver},
    )
    def change_alert_receiver(path: ById, body: ReceiverChange) -> dict[str, Any]:
        receiver_id, sent = row_ids.number(path.id, "alert receiver"), body.model_fields_set
        receivers.change(
            auth.viewer(),
            receiver_id,
            address=body.address,
            events=body.events,
            account_ids=_accounts(body.accountIds) if "accountIds" in sent else None,
            quiet=(body.quietHours or "") if "quietHours" in sent else None,
            zone=body.zone,
        )
        return _receiver(receiver_id)

    @api.post(
        "/api/alert-receivers/<id>/rotate-secret",
        tags=[RECEIVERS],
        summary="Rotate the secret of an alert receiver",
        description="The new secret is in this answer only. For 24 hours, requests are signed with both. 409 for an "
        "email address.",
        responses={200: NewAlertReceiver},
    )
    def rotate_alert_receiver_secret(path: ById) -> dict[str, Any]:
        receiver_id = row_ids.number(path.id, "alert receiver")
        secret = receivers.rotate_secret(auth.viewer(), receiver_id)
        return _receiver(receiver_id) | {"secret": secret}

    @api.post(
        "/api/alert-receivers/<id>/test",
        tags=[RECEIVERS],
        summary="Send a test to an alert receiver",
        description="The scheduler sends it within seconds, also in quiet hours; `lastState` then shows the result.",
        responses={202: AlertReceiver},
    )
    def test_alert_receiver(path: ById) -> tuple[dict[str, Any], int]:
        receiver_id = row_ids.number(path.id, "alert receiver")
        outbox.send_test(auth.viewer(), receiver_id)
        return _receiver(receiver_id), 202

    @api.post(
        "/api/alert-receivers/<id>/enable",
        tags=[RECEIVERS],
        summary="Switch an alert receiver on",
        description="One that answered 410 Gone was switched off.",
        responses={200: AlertReceiver},
    )
    def enable_alert_receiver(path: ById) -> dict[str, Any]:
        receiver_id = row_ids.number(path.id, "alert receiver")
        receivers.enable(auth.viewer(), receiver_id)
        return _receiver(receiver_id)

    @api.delete(
        "/api/alert-receivers/<id>",
        tags=[RECEIVERS],
        summary="Remove an alert receiver",
        description="With its deliveries: it is sent nothing more.",
        responses={204: None},
    )
    def remove_alert_receiver(path: ById) -> tuple[str, int]:
        receivers.remove(auth.viewer(), row_ids.number(path.id, "alert receiver"))
        return "", 204


def _accounts(ig_account_ids: list[str] | None) -> list[int] | Literal["all"]:
    return receivers.ALL if ig_account_ids is None else receivers.find_accounts(auth.viewer(), ig_account_ids)


def _receiver(receiver_id: int) -> dict[str, Any]:
    return receivers.as_dict(receivers.get_receiver(auth.viewer(), receiver_id))
