"""Endpoint for the figures of the Insights page."""

from datetime import UTC
from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from app.accounts import listing
from app.api import auth
from app.api.responses import Insights
from app.api.schemas import InsightsQuery
from app.errors import NotFound
from app.insights import summary

INSIGHTS = Tag(name="Insights", description="How contacts are identified, API calls and failures.")


def register(api: APIBlueprint) -> None:
    """Add the endpoint of insights to `api`."""

    @api.get(
        "/api/insights",
        tags=[INSIGHTS],
        summary="Get insights",
        description="The figures of one account, or of all. Days begin at midnight UTC.",
        responses={200: Insights},
    )
    def get_insights(query: InsightsQuery) -> dict[str, Any]:
        viewer = auth.viewer()
        accounts = [listing.by_ig_id(viewer, query.accountId)] if query.accountId else listing.accounts(viewer)
        if not accounts:
            raise NotFound("account")
        ids = [each.id for each in accounts]
        return summary.as_dict(summary.get_insights(ids, period=query.period, zone=UTC))
