"""Endpoints for connected accounts, without their access tokens, and their gaps."""

from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from app import gaps
from app.accounts import listing
from app.api import auth
from app.api.responses import AccountList, GapList
from app.api.schemas import ByAccount
from app.clock import rfc3339

ACCOUNTS = Tag(name="Accounts", description="Connected Instagram professional accounts.")


def register(api: APIBlueprint) -> None:
    """Add the endpoints of accounts to `api`."""

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

    @api.get(
        "/api/accounts/<id>/gaps",
        tags=[ACCOUNTS],
        summary="List gaps",
        description="Periods of the last 90 days without webhooks, newest first, and what was fetched of them.",
        responses={200: GapList},
    )
    def list_gaps(path: ByAccount) -> dict[str, Any]:
        viewer = auth.viewer()
        account = listing.by_ig_id(viewer, path.id)
        return {"data": [gaps.as_dict(each) for each in gaps.list_gaps(viewer, account.id)]}
