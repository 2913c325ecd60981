"""Endpoints for connected accounts, without their access tokens, and their gaps."""

from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from app import gaps
from app.accounts import connect, health, listing
from app.api import auth
from app.api.responses import AccountCheck, AccountList, GapList
from app.api.schemas import ByAccount, ById

ACCOUNTS = Tag(name="Accounts", description="Connected Instagram professional accounts.")


def register(api: APIBlueprint) -> None:
    """Add the endpoints of accounts to `api`."""

    @api.get("/api/accounts", tags=[ACCOUNTS], summary="List accounts", responses={200: AccountList})
    def list_accounts() -> dict[str, Any]:
        return {"data": [health.as_dict(each) for each in health.list_health(auth.viewer())]}

    @api.post(
        "/api/accounts/<id>/check",
        tags=[ACCOUNTS],
        summary="Check an account with Meta",
        description="Checks the access token and the webhook subscription. `id` is the professional account ID.",
        responses={200: AccountCheck},
    )
    def check_account(path: ById) -> dict[str, Any]:
        return connect.check(auth.viewer(), path.id).as_dict(path.id)

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
