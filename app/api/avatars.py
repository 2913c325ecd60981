"""People's pictures, for programs: from our own address, since Meta's expire within days."""

from typing import Any

from flask import Response
from flask_openapi3 import APIBlueprint

from app.api import door
from app.api.schemas import PictureAsked, PictureOf
from app.identities import avatars

KEPT = "private, max-age=604800, immutable"  # the version in the address changes with the picture
_PICTURE: Any = {
    200: {"description": "The picture", "content": {"image/webp": {"schema": {"type": "string", "format": "binary"}}}}
}


def connect(api: APIBlueprint) -> None:
    """Add the address of pictures."""

    @api.get("/api/avatars/<accountId>/<participantId>", summary="Somebody's picture", responses=_PICTURE)
    def picture(path: PictureOf, query: PictureAsked) -> Response:  # noqa: ARG001 - the version keeps caches right
        found = avatars.of(door.viewer(), path.accountId, path.participantId)
        return Response(found.content, content_type="image/webp", headers={"Cache-Control": KEPT})


def address(ig_account_id: str, ig_participant_id: str, version: str | None) -> str | None:
    """Return where a program finds a picture with its token, None where there is none."""
    ours = avatars.address(ig_account_id, ig_participant_id, version)
    return ours and f"/api{ours}"
