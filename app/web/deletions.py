"""The public status page of a deletion that Meta passed on: it names no one."""

from flask import Blueprint, Response, make_response, render_template

from app.erasure import meta_callbacks
from app.web import rendering

blueprint = Blueprint("deletions", __name__, url_prefix="/deletion")


@blueprint.get("/<code>")
def status(code: str) -> Response:
    """Show whether everything is deleted, and since when."""
    words = render_template("deletions/page.html", deletion=meta_callbacks.get_deletion(code), theme=rendering.theme())
    return make_response(words)
