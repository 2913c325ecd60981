"""Endpoints for identities: list, show, refresh, export."""

from dataclasses import replace
from typing import Any

from flask import Response, stream_with_context
from flask_openapi3 import APIBlueprint, Tag

from app.accounts import listing as accounts
from app.api import auth, cursors
from app.api.responses import Identity, IdentityPage, IdentityRefresh, LookupList
from app.api.row_ids import number
from app.api.schemas import ById, ExportQuery, IdentitiesQuery
from app.clock import rfc3339
from app.identities import explanation, export, listing, manual_refresh

IDENTITIES = Tag(name="Identities", description="What Nametag stores about contacts.")
_FILES: Any = {
    200: {
        "description": "The identities as a file.",
        "content": {kind: {"schema": {"type": "string"}} for kind in ("text/csv", "application/x-ndjson")},
    }
}


def register(api: APIBlueprint) -> None:
    """Add the endpoints of identities to `api`."""

    @api.get("/api/identities", tags=[IDENTITIES], summary="List identities", responses={200: IdentityPage})
    def list_identities(query: IdentitiesQuery) -> dict[str, Any]:
        viewer = auth.viewer()
        account = accounts.by_ig_id(viewer, query.accountId) if query.accountId else None
        of = ("identities", account and account.id, query.state, query.reason, query.q)
        want = listing.parse_filter(
            account_id=account.id if account else None,
            state=query.state,
            reason=query.reason,
            q=query.q,
            limit=query.limit,
        )
        after = cursors.position(query.cursor, *of)
        found = listing.page(viewer, replace(want, after=after and after[:2]))
        return {"data": [listing.as_dict(each) for each in found.rows], "nextCursor": cursors.seal(found.after, *of)}

    @api.get(
        "/api/identities/export", tags=[IDENTITIES], summary="Export identities (CSV or JSON lines)", responses=_FILES
    )
    def export_identities(query: ExportQuery) -> Response:
        lines = export.lines(auth.viewer(), listing.parse_filter(), format_=query.format)
        response = Response(stream_with_context(lines), content_type=export.FORMATS[query.format])
        response.headers["Content-Disposition"] = f'attachment; filename="identities.{query.format}"'
        return response

    @api.get("/api/identities/<id>", tags=[IDENTITIES], summary="Get an identity", responses={200: Identity})
    def get_identity(path: ById) -> dict[str, Any]:
        return listing.as_dict(listing.get_identity(auth.viewer(), number(path.id, "identity")))

    @api.post(
        "/api/identities/<id>/refresh",
        tags=[IDENTITIES],
        summary="Refresh an identity",
        responses={200: IdentityRefresh, 202: IdentityRefresh},
    )
    def refresh_identity(path: ById) -> tuple[dict[str, Any], int]:
        looked_up_at = manual_refresh.refresh(auth.viewer(), number(path.id, "identity"))
        if looked_up_at is not None:
            return {"status": "fresh", "lookedUpAt": rfc3339(looked_up_at)}, 200
        return {"status": "queued", "lookedUpAt": None}, 202

    @api.get(
        "/api/identities/<id>/lookups",
        tags=[IDENTITIES],
        summary="List the lookups of an identity",
        description="The newest 50 API calls about the contact.",
        responses={200: LookupList},
    )
    def list_lookups(path: ById) -> dict[str, Any]:
        found = explanation.list_lookups(auth.viewer(), number(path.id, "identity"))
        return {"data": [explanation.lookup_as_dict(each) for each in found]}
