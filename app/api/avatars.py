"""Endpoint for pictures of contacts, which Nametag serves because Meta's URLs expire within days."""

from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag

from app.api import auth
from app.api.responses import BINARY, a_file
from app.api.schemas import PictureOf, PictureQuery
from app.identities import avatars

AVATARS = Tag(name="Avatars", description="Contacts' pictures.")
TYPES = ("image/webp", BINARY)


def register(api: APIBlueprint) -> None:
    """Add the endpoint of pictures to `api`."""

    @api.get(
        "/api/avatars/<accountId>/<participantId>",
        tags=[AVATARS],
        summary="Get a contact's picture",
        responses={200: a_file("The picture as WebP.", TYPES[0])},
    )
    def get_avatar(path: PictureOf, query: PictureQuery) -> Response:  # noqa: ARG001 - the version is for caches only
        found = avatars.get_picture(auth.viewer(), path.accountId, path.participantId)
        type_ = request.accept_mimetypes.best_match(TYPES, TYPES[0])
        return Response(
            found.content, content_type=type_, headers={"Cache-Control": avatars.CACHE_CONTROL, "Vary": "Accept"}
        )


def picture_path(ig_account_id: str, ig_participant_id: str, version: str | None) -> str | None:
    """Return the path of a picture for API clients, None if there is none."""
    path = avatars.picture_url(ig_account_id, ig_participant_id, version)
    return path and f"/api{path}"
