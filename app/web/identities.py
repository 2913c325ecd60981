"""The Identities pages: contacts, why names are missing, refreshing and exporting them."""

from dataclasses import replace

from flask import Blueprint, Response, request, stream_with_context

from app.erasure import contact_data, contact_export, contacts, receipts
from app.identities import contact_search, explanation, export, listing, manual_refresh, reasons
from app.identities.listing import IdentityFilter, ListedIdentity
from app.inbox import layout
from app.inbox.layout import AccountSelection
from app.viewer import Role
from app.web import account_selection, refresh_requests, rendering, session
from app.web.inbox import ID

blueprint = Blueprint("identities", __name__, url_prefix="/identities")


@blueprint.get("")
def index() -> Response:
    """Show the list, filtered by state, reason and search."""
    viewer = session.viewer()
    selection = account_selection.select(ig_account_id=request.args.get("account"))
    want = _wanted(selection)
    shown = listing.page(viewer, want)
    return rendering.render(
        "identities/page.html",
        "identities/_list.html",
        selection=selection,
        want=want,
        shown=shown,
        counts=listing.counts(viewer, selection.account_id),
        reasons=reasons.MEANINGS,
        account=selection.ig_account_id,
        budget=layout.forecast(selection.account_id),
        operates=viewer.may(Role.OPS),
        most_found=contact_search.MOST,
    )


@blueprint.get(f"/<{ID}:identity_id>")
def show(identity_id: int) -> Response:
    """Show an identity and its explanation. Polled during a lookup; its result is shown as a toast."""
    viewer = session.viewer()
    found = explanation.explain(viewer, identity_id)
    selection = account_selection.select(account_id=found.contact.account_id)
    ended = "looking" in request.args and not found.contact.in_progress
    return rendering.render(
        "identities/identity.html",
        "identities/_identity.html",
        selection=selection,
        events=rendering.toast(_result(found.contact)) if ended else None,
        why=found,
        budget=layout.forecast(selection.account_id),
        operates=viewer.may(Role.OPS),
        administers=viewer.may(Role.ADMIN),
    )


def _result(found: ListedIdentity) -> str:
    if found.reason is None:
        return f"Resolved: {found.display.text}."
    return f"{'Not refreshed' if found.display.known else 'Not resolved'}: {found.sentence}."


@blueprint.post(f"/<{ID}:identity_id>/refresh")
def refresh(identity_id: int) -> Response:
    """Refresh one identity."""
    refresh_requests.require_rate()
    looked_up_at = manual_refresh.refresh(session.viewer(), identity_id)
    return rendering.render_done(
        f"/identities/{identity_id}",
        events=refresh_requests.QUEUED | rendering.toast(refresh_requests.outcome(looked_up_at)),
    )


@blueprint.get(f"/<{ID}:identity_id>/data")
def data(identity_id: int) -> Response:
    """Show what is stored about a contact, with export and deletion."""
    stored = contact_data.get_stored_data(session.viewer(), identity_id)
    selection = account_selection.select(account_id=stored.identity.account_id)
    return rendering.render("identities/data.html", None, selection=selection, stored=stored)


@blueprint.get(f"/<{ID}:identity_id>/export")
def export_contact(identity_id: int) -> Response:
    """Export the data of a contact as a zip file."""
    parts = contact_export.archive(session.viewer(), identity_id)
    response = Response(stream_with_context(parts), content_type=contact_export.CONTENT_TYPE)
    response.headers["Content-Disposition"] = f'attachment; filename="{contact_export.filename(identity_id)}"'
    return response


@blueprint.post(f"/<{ID}:identity_id>/delete")
def delete(identity_id: int) -> Response:
    """Delete all data of a contact, and show the receipt."""
    receipt_id = contacts.delete_identity(session.viewer(), identity_id)
    return rendering.hx_redirect(f"/identities/receipts/{receipt_id}")


@blueprint.get(f"/receipts/<{ID}:receipt_id>")
def receipt(receipt_id: int) -> Response:
    """Show the receipt of a deleted contact."""
    found = receipts.get_receipt(session.viewer(), receipt_id)
    return rendering.render("identities/receipt.html", None, selection=account_selection.select(), receipt=found)


@blueprint.get("/export")
def export_() -> Response:
    """Export the identities that match the list's state, reason and search."""
    viewer = session.viewer()
    format_ = request.args.get("format", "csv")
    selection = account_selection.select(ig_account_id=request.args.get("account"))
    lines = export.lines(viewer, replace(_wanted(selection), after=None), format_=format_)
    response = Response(stream_with_context(lines), content_type=export.FORMATS[format_])
    response.headers["Content-Disposition"] = f'attachment; filename="identities.{format_}"'
    return response


def _wanted(selection: AccountSelection) -> IdentityFilter:
    return listing.parse_filter(
        account_id=selection.account_id,
        state=request.args.get("state"),
        reason=request.args.get("reason"),
        q=request.args.get("q", ""),
        after=request.args.get("after"),
    )
