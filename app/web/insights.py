"""The Insights page: figures and charts of how contacts are identified."""

from collections.abc import Sequence
from datetime import datetime

from flask import Blueprint, Response, request

from app.errors import Invalid
from app.insights import summary
from app.web import account_selection, filters, rendering

blueprint = Blueprint("insights", __name__, url_prefix="/insights")


@blueprint.get("")
def index() -> Response:
    """Show the figures of all accounts, or of the account in the URL."""
    chosen, period = request.args.get("account"), request.args.get("period", "month")
    if period not in summary.PERIODS:
        raise Invalid({"period": f"period must be one of {', '.join(summary.PERIODS)}."})
    selection, zone = account_selection.select(ig_account_id=chosen), filters.zone()
    accounts = [each.id for each in selection.accounts if chosen in (None, each.ig_account_id)]
    found = summary.get_insights(accounts, period=period, zone=zone) if accounts else None
    return rendering.render(
        "insights/page.html",
        None,
        selection=selection,
        found=found,
        levels=summary.get_service_levels(accounts) if accounts else (),
        chosen=chosen,
        period=period,
        periods=[(key, words) for key, (words, _) in summary.PERIODS.items()],
        words=summary.PERIODS[period][0],
        zone=zone.key,
        marks=_marks([each.at for each in found.buckets], period) if found else [],
        hour_marks=_marks([each.at for each in found.hours], "day") if found else [],
        target_ms=summary.TARGET_MS,
    )


def _marks(times: Sequence[datetime], period: str) -> list[str]:
    return [filters.moment(times[place], period) for place in (0, len(times) // 2, -1)]
