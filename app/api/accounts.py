"""Endpoint for connected accounts, without their access tokens."""

from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from app.accounts import listing
from app.api import auth
from app.api.responses import AccountList
from app.clock import rfc3339

ACCOUNTS = Tag(name="Accounts", description="Connected Instagram professional accounts.")


def register(api: APIBlueprint) -> None:
    """Add the endpoint of accounts to `api`."""

    @api.get("/api/accounts", tags=[ACCOUNTS], summary="List accounts", responses={200: AccountList})
    def list_accounts() -> dict[str, Any]:
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
                    "connectedAt": rfc3339(each.connected_at),
                    "lastWebhookAt": rfc3339(each.last_webhook_at),
                }
                for each in listing.accounts(auth.viewer())
            ]
        }
