"""The Dead letters page: show, replay and discard events that could not be processed. For ops and admins."""

from dataclasses import fields
from typing import Any

from flask import Blueprint, Response, request

from app import text
from app.ingest import dead_letters, replay
from app.ingest.dead_letters import LetterFilter
from app.ingest.replay import Replayed, ReplayProgress
from app.text import ROW_NUMBER
from app.web import account_selection, rendering, session
from app.web.inbox import ID

blueprint = Blueprint("dead_letters", __name__, url_prefix="/dead-letters")

HOME = "/dead-letters"


@blueprint.get("")
def index() -> Response:
    """Show the newest dead letters, or those with a reason or of an account."""
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
    """Replay all dead letters that match. For htmx: the next batch, with a form that requests the one after it."""
    viewer, want = session.viewer(), _wanted()
    if not rendering.wants_part():
        return _replayed(replay.replay_all(viewer, want))
    progress, done = replay.replay_next(viewer, _progress() or replay.start(viewer, want), want)
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


def _wanted() -> LetterFilter:
    reason, account = (text.storable(request.args.get(name, "")) for name in ("reason", "account"))
    return LetterFilter(reason or None, account or None)


def _letters() -> dict[str, Any]:
    viewer, want, after = session.viewer(), _wanted(), request.args.get("after")
    rows, older = dead_letters.newest_page(viewer, want, after=dead_letters.parse_cursor(after) if after else None)
    return {
        "letters": [(letter, dead_letters.readable(letter.raw)) for letter in rows],
        "older": dead_letters.make_cursor(*older) if older else None,
        "want": want,
        "filters": {"reason": want.reason, "account": want.ig_account_id},
        "shown_bytes": dead_letters.SHOWN_BYTES,
        "groups": dead_letters.groups(viewer),
        "number": dead_letters.count(viewer, want),
        "notes": dead_letters.count(viewer, LetterFilter(dead_letters.PARTLY_UNDERSTOOD)),
        "notes_reason": dead_letters.PARTLY_UNDERSTOOD,
    }
