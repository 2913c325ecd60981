"""Contacts' pictures, served by Nametag: Meta's URLs expire within days."""

from typing import Any

from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag

from app.api import auth
from app.api.schemas import PictureOf, PictureQuery
from app.identities import avatars

AVATARS = Tag(name="Avatars", description="Contacts' pictures.")
TYPES = ("image/webp", "application/octet-stream")  # generators of clients know bytes by the second name
_PICTURE: Any = {
    200: {
        "description": "The picture, in WebP",
        "content": {type_: {"schema": {"type": "string", "format": "binary"}} for type_ in TYPES},
    }
}


def register(api: APIBlueprint) -> None:
    """Add the route of pictures."""

    @api.get(
        "/api/avatars/<accountId>/<participantId>",
        tags=[AVATARS],
        summary="Get the picture of a contact",
        responses=_PICTURE,
    )
    def get_avatar(path: PictureOf, query: PictureQuery) -> Response:  # noqa: ARG001 - the version keeps caches right
        found = avatars.get_picture(auth.viewer(), path.accountId, path.participantId)
        type_ = request.accept_mimetypes.best_match(TYPES, TYPES[0])
        return Response(
            found.content, content_type=type_, headers={"Cache-Control": avatars.CACHE_CONTROL, "Vary": "Accept"}
        )


def address(ig_account_id: str, ig_participant_id: str, version: str | None) -> str | None:
    """Return where a program finds a picture with its token, None where there is none."""
    ours = avatars.picture_url(ig_account_id, ig_participant_id, version)
    return ours and f"/api{ours}"
