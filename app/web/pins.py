"""Pinned searches of the user: pin the shown search, rename and remove it."""

from flask import Blueprint, Response, request

from app.inbox import listing, pins
from app.web import account_selection, preferences, rendering, session
from app.web.inbox import ID

blueprint = Blueprint("pins", __name__, url_prefix="/inbox/pins")


@blueprint.post("")
def pin() -> Response:
    """Pin the search that the list shows."""
    form = request.form
    want = listing.parse_filter(filter_=form.get("filter") or "all", q=form.get("q", ""))
    pins.pin_search(session.viewer(), form.get("name", ""), want)
    selection = account_selection.select(ig_account_id=form.get("account"))
    return rendering.hx_redirect("/inbox" + listing.query_string(want, selection.ig_account_id))


@blueprint.post(f"/<{ID}:pin_id>/rename")
def rename(pin_id: int) -> Response:
    """Rename a pinned search."""
    pins.rename_pin(session.viewer(), pin_id, request.form.get("name", ""))
    return rendering.hx_redirect(preferences.HOME)


@blueprint.post(f"/<{ID}:pin_id>/remove")
def remove(pin_id: int) -> Response:
    """Remove a pinned search."""
    pins.remove_pin(session.viewer(), pin_id)
    return rendering.hx_redirect(preferences.HOME)
