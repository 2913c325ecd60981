"""Reports of gaps: dismiss one in the inbox."""

from datetime import datetime

from flask import Blueprint, Response

from app import gaps
from app.gaps import ListedGap
from app.labels import label
from app.runs import sync_words
from app.web import filters, rendering, session
from app.web.inbox import ID

blueprint = Blueprint("gaps", __name__, url_prefix="/gaps")


@blueprint.app_template_filter("gap_sentence")
def gap_sentence(gap: ListedGap) -> str:
    """Return the report of a gap, with times in the user's time zone."""
    return gaps.as_text(gap, _period)


@blueprint.app_template_filter("gap_period")
def gap_period(gap: ListedGap) -> str:
    """Return when a gap began and ended, in the user's time zone."""
    return _period(gap.began_at, gap.ended_at) if gap.ended_at else f"since {filters.wall_clock(gap.began_at)}"


@blueprint.app_template_filter("gap_outcome")
def gap_outcome(gap: ListedGap) -> str:
    """Return its causes and what a sync fetched, in sentences: for a place that names account and time already."""
    said = gaps.outcome(gap)
    losses = [f"Not given by Meta: {sync_words.losses(gap.lost)}."] if gap.missing else []
    return " ".join([*(f"{label(cause)}." for cause in gap.causes), said[0].upper() + said[1:], *losses])


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
