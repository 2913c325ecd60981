"""Endpoints for the data of one contact: what is stored, export, deletion, receipts. They need the scope `privacy`."""

from typing import Any

from flask import Response, stream_with_context
from flask_openapi3 import APIBlueprint, Tag

from app.api import auth
from app.api.responses import Receipt, StoredData, a_file
from app.api.row_ids import number
from app.api.schemas import ById
from app.erasure import contact_data, contact_export, contacts, receipts

PRIVACY = Tag(name="Data protection", description="Export and delete the data of one contact. Scope: `privacy`.")
_FILE = a_file("A zip file with `contact.json`, `messages.html` and the picture.", contact_export.CONTENT_TYPE)


def register(api: APIBlueprint) -> None:
    """Add the endpoints of data protection to `api`."""

    @api.get(
        "/api/identities/<id>/data",
        tags=[PRIVACY],
        summary="Count what is stored about a contact",
        responses={200: StoredData},
    )
    def get_stored_data(path: ById) -> dict[str, Any]:
        return contact_data.as_dict(contact_data.get_stored_data(auth.viewer(), number(path.id, "identity")))

    @api.get(
        "/api/identities/<id>/export",
        tags=[PRIVACY],
        summary="Export the data of a contact",
        description="The file is written while it is sent; nothing is stored for it.",
        responses={200: _FILE},
    )
    def export_contact(path: ById) -> Response:
        identity_id = number(path.id, "identity")
        parts = contact_export.archive(auth.viewer(), identity_id)
        response = Response(stream_with_context(parts), content_type=contact_export.CONTENT_TYPE)
        name = contact_export.filename(identity_id)
        response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
        return response

    @api.delete(
        "/api/identities/<id>",
        tags=[PRIVACY],
        summary="Delete the data of a contact",
        description="Permanently deletes messages, identity and picture. Returns the receipt.",
        responses={200: Receipt},
    )
    def delete_contact(path: ById) -> dict[str, Any]:
        viewer = auth.viewer()
        receipt_id = contacts.delete_identity(viewer, number(path.id, "identity"))
        return receipts.as_dict(receipts.get_receipt(viewer, receipt_id))

    @api.get("/api/receipts/<id>", tags=[PRIVACY], summary="Get the receipt of a deletion", responses={200: Receipt})
    def get_receipt(path: ById) -> dict[str, Any]:
        return receipts.as_dict(receipts.get_receipt(auth.viewer(), number(path.id, "receipt")))
