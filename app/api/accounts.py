"""Connected accounts, for programs: never a token."""

from typing import Any

from flask_openapi3 import APIBlueprint

from app.accounts import listing
from app.api import door
from app.api.answers import Accounts
from app.api.words import time


def connect(api: APIBlueprint) -> None:
    """Add the address of accounts."""

    @api.get("/api/accounts", summary="Connected accounts", responses={200: Accounts})
    def accounts() -> dict[str, Any]:
        return {
            "data": [
                {
                    "accountId": each.ig_account_id,
                    "username": each.username,
                    "login": each.login.value,
                    "locationId": each.location_id,
                    "state": each.state.value,
                    "stateReason": each.state_reason,
                    "lookupProblem": each.lookup_problem,
                    "connectedAt": time(each.connected_at),
                    "lastWebhookAt": time(each.last_webhook_at),
                }
                for each in listing.accounts(door.viewer())
            ]
        }
