"""The Audit log page, for admins: entries by user and action, newest first."""

from flask import Blueprint, Response, request

from app import audit, text
from app.web import account_selection, rendering, session

DIGITS = 18  # of the largest ID

blueprint = Blueprint("audit", __name__, url_prefix="/audit")


@blueprint.get("")
def index() -> Response:
    """Show the newest entries, or those before a given one."""
    viewer = session.viewer()
    before = request.args.get("before", "")
    want = audit.parse_filter(
        actor=request.args.get("actor"),
        action=request.args.get("action"),
        subject=text.storable(request.args.get("subject", "")),
        before=int(before) if before.isascii() and before.isdigit() and len(before) <= DIGITS else None,
    )
    entries, older = audit.page(viewer, want)
    return rendering.render(
        "audit/page.html",
        None,
        selection=account_selection.select(),
        want=want,
        entries=entries,
        older=older,
        names=audit.names(viewer),
        accounts=audit.account_names(viewer),
        actions=audit.Action,
    )
