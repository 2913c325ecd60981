"""The Dead letters page: show, replay and discard events that could not be processed. For ops and admins."""

from dataclasses import fields
from typing import Any

from flask import Blueprint, Response, request

from app.ingest import dead_letters, replay
from app.ingest.replay import Replayed, ReplayProgress
from app.text import ROW_NUMBER
from app.web import account_selection, rendering, session
from app.web.inbox import ID

blueprint = Blueprint("dead_letters", __name__, url_prefix="/dead-letters")

HOME = "/dead-letters"


@blueprint.get("")
def index() -> Response:
    """Show the newest dead letters."""
    selection = account_selection.select()
    return rendering.render(
        "dead_letters/page.html", "dead_letters/_letters.html", selection=selection, progress=None, **_letters()
    )


@blueprint.post(f"/<{ID}:dead_letter_id>/replay")
def replay_one(dead_letter_id: int) -> Response:
    """Replay one dead letter."""
    return _replayed(replay.replay_one(session.viewer(), dead_letter_id))


@blueprint.post("/replay")
def replay_all() -> Response:
    """Replay all dead letters. For htmx: the next batch, with a form that requests the one after it."""
    viewer = session.viewer()
    if not rendering.wants_part():
        return _replayed(replay.replay_all(viewer))
    progress, done = replay.replay_next(viewer, _progress() or replay.start(viewer))
    if progress is None:
        return _replayed(done)
    return rendering.render(None, "dead_letters/_letters.html", home=HOME, progress=progress, **_letters())


@blueprint.post(f"/<{ID}:dead_letter_id>/discard")
def discard(dead_letter_id: int) -> Response:
    """Discard one dead letter."""
    dead_letters.discard(session.viewer(), dead_letter_id)
    events = rendering.toast("Dead letter discarded.")
    return rendering.render(None, "dead_letters/_letters.html", home=HOME, events=events, progress=None, **_letters())


def _progress() -> ReplayProgress | None:
    """Return the progress that the form of a replay carries, None from the button that starts one."""
    sent = [request.form.get(field.name, "") for field in fields(ReplayProgress)]
    return ReplayProgress(*map(int, sent)) if all(map(ROW_NUMBER.fullmatch, sent)) else None


def _replayed(done: Replayed) -> Response:
    events = rendering.toast(done.says, bad=bool(done.failed))
    return rendering.render(None, "dead_letters/_letters.html", home=HOME, events=events, progress=None, **_letters())


def _letters() -> dict[str, Any]:
    viewer = session.viewer()
    shown = [(letter, dead_letters.readable(letter.raw)) for letter in dead_letters.newest(viewer)]
    return {
        "letters": shown,
        "shown_bytes": dead_letters.SHOWN_BYTES,
        "groups": dead_letters.groups(viewer),
        "number": dead_letters.count(viewer),
        "notes": dead_letters.count(viewer, reason=dead_letters.PARTLY_UNDERSTOOD),
    }
