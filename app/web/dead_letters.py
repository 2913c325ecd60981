"""Dead letters: reading what could not be placed, trying it again, throwing it away. For ops and admins."""

from typing import Any

from flask import Blueprint, Response

from app.ingest import dead_letters, replay
from app.ingest.replay import Replayed
from app.web import account_selection, page, session
from app.web.inbox import ID

blueprint = Blueprint("dead_letters", __name__, url_prefix="/dead-letters")

HOME = "/dead-letters"


@blueprint.get("")
def index() -> Response:
    """The newest ones."""
    desk = account_selection.select(session.viewer())
    return page.answer("dead_letters/page.html", "dead_letters/_letters.html", desk=desk, **_letters())


@blueprint.post(f"/<{ID}:dead_letter_id>/replay")
def replay_one(dead_letter_id: int) -> Response:
    """Try one again."""
    return _told(replay.one(session.viewer(), dead_letter_id))


@blueprint.post("/replay")
def replay_all() -> Response:
    """Try all of them again."""
    return _told(replay.everything(session.viewer()))


@blueprint.post(f"/<{ID}:dead_letter_id>/discard")
def discard(dead_letter_id: int) -> Response:
    """Throw one away."""
    dead_letters.discard(session.viewer(), dead_letter_id)
    return page.answer(None, "dead_letters/_letters.html", home=HOME, events=page.toast("Thrown away."), **_letters())


def _told(done: Replayed) -> Response:
    words = f"{done.landed} landed, {done.stayed} still cannot be placed."
    events = page.toast(words, bad=bool(done.stayed))
    return page.answer(None, "dead_letters/_letters.html", home=HOME, events=events, **_letters())


def _letters() -> dict[str, Any]:
    viewer = session.viewer()
    shown = [(letter, dead_letters.readable(letter.raw)) for letter in dead_letters.newest(viewer)]
    numbers = {
        "number": dead_letters.count(viewer),
        "notes": dead_letters.count(viewer, reason=dead_letters.PARTLY_UNDERSTOOD),
    }
    return {"letters": shown, "shown_bytes": dead_letters.SHOWN_BYTES} | numbers
