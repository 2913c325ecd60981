"""Insights: how well naming works."""

from flask import Blueprint, Response, request

from app.inbox import frame, insights
from app.web import page, session

blueprint = Blueprint("insights", __name__, url_prefix="/insights")


@blueprint.get("")
def index() -> Response:
    """The figures of the chosen account."""
    desk = frame.desk(session.viewer(), ig_account_id=request.args.get("account"))
    found = insights.of(desk.account_id) if desk.account_id is not None else None
    return page.answer("insights/page.html", None, desk=desk, found=found, target_ms=insights.TARGET_MS)
