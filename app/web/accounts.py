"""Accounts: how each is, and reading its conversations back."""

from flask import Blueprint, Response

from app import queue
from app.accounts import health, listing
from app.inbox import frame
from app.viewer import Role
from app.web import page, session

blueprint = Blueprint("accounts", __name__, url_prefix="/accounts")


@blueprint.get("")
def index() -> Response:
    """Every account the viewer may see."""
    viewer = session.viewer()
    found = health.of_all(viewer)
    return page.answer(
        "accounts/page.html", None, desk=frame.desk(viewer), accounts=found, operates=viewer.may(Role.OPS)
    )


@blueprint.post("/<ig_account_id>/sync")
def sync(ig_account_id: str) -> Response:
    """Read an account's conversations back, by a worker."""
    viewer = session.viewer()
    viewer.require(Role.OPS)
    account = listing.by_ig_id(viewer, ig_account_id)
    asked = queue.enqueue_once(queue.SYNC, account.id)
    words = "Reading conversations back." if asked else "Redis is away; try again in a minute."
    return page.done("/accounts", events=page.toast(words, bad=not asked))
