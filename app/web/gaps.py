"""Reports of gaps: dismiss one in the inbox."""

from datetime import datetime

from flask import Blueprint, Response

from app import gaps
from app.gaps import ListedGap
from app.runs import sync_words
from app.web import filters, rendering, session
from app.web.inbox import ID

blueprint = Blueprint("gaps", __name__, url_prefix="/gaps")


@blueprint.app_template_filter("gap_sentence")
def gap_sentence(gap: ListedGap) -> str:
    """Return the report of a gap, with times in the user's time zone."""
    return gaps.as_text(gap, _period)


@blueprint.app_template_filter("gap_losses")
def gap_losses(gap: ListedGap) -> str:
    """Return the messages of a gap that could not be fetched, by cause."""
    return sync_words.losses(gap.lost)


@blueprint.post(f"/<{ID}:gap_id>/dismiss")
def dismiss(gap_id: int) -> Response:
    """Dismiss the report of a gap, for every user."""
    gaps.dismiss(session.viewer(), gap_id)
    return rendering.render_done("/inbox", events={"inbox:refresh": True})


def _period(began_at: datetime, ended_at: datetime) -> str:
    """Return two times, with the day of each unless both are on the same: Wed, 02:10–06:45."""
    zone = filters.zone()
    same_day = began_at.astimezone(zone).date() == ended_at.astimezone(zone).date()
    end = filters.time_of_day(ended_at) if same_day else filters.wall_clock(ended_at)
    return f"{filters.wall_clock(began_at)}–{end}"
