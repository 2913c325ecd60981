"""Pictures of contacts and accounts, for users who may see the account."""

from flask import Blueprint, Response

from app.identities import avatars
from app.web import session

blueprint = Blueprint("avatars", __name__, url_prefix="/avatars")


@blueprint.get("/<ig_account_id>/<ig_participant_id>")
def picture(ig_account_id: str, ig_participant_id: str) -> Response:
    """Return the picture of a contact, or of the account, with its ID in place of the contact's."""
    found = avatars.get_picture(session.viewer(), ig_account_id, ig_participant_id)
    return Response(found.content, content_type="image/webp", headers={"Cache-Control": avatars.CACHE_CONTROL})
