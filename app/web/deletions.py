"""The public status page of a deletion request. Shows no names and no IDs."""

from flask import Blueprint, Response, make_response, render_template

from app.erasure import meta_callbacks
from app.web import rendering

blueprint = Blueprint("deletions", __name__, url_prefix="/deletion")


@blueprint.get("/<code>")
def status(code: str) -> Response:
    """Show whether the data is deleted, and since when."""
    page = render_template("deletions/page.html", deletion=meta_callbacks.get_deletion(code), theme=rendering.theme())
    return make_response(page)
