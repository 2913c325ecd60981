"""Find one contact by what a user types: @username, an earlier username, or the contact's ID."""

from sqlalchemy import func, or_, select

from app.db.engine import db
from app.errors import Conflict, NotFound
from app.identities import listing
from app.identities.listing import ListedIdentity
from app.models.identity import Identity, UsernameHistory
from app.viewer import Viewer

MOST = 5  # contacts that a message names


def by_reference(viewer: Viewer, reference: str, account_id: int | None = None) -> ListedIdentity:
    """Return the contact that has `reference` as username, earlier username or ID, in one account or all.

    Raises NotFound, and Conflict when several contacts match: a username can pass to another contact.
    """
    wanted = reference.strip().removeprefix("@")
    earlier = select(UsernameHistory.identity_id).where(func.lower(UsernameHistory.old_username) == wanted.lower())
    found = select(Identity.id).where(
        or_(
            func.lower(Identity.username) == wanted.lower(),
            Identity.ig_participant_id == wanted,
            Identity.id.in_(earlier),
        )
    )
    found = viewer.visible(found, Identity.account_id)
    if account_id is not None:
        found = found.where(Identity.account_id == account_id)
    ids = db.session.scalars(found.order_by(Identity.id).limit(MOST)).all() if wanted else ()
    if not ids:
        raise NotFound(f"contact: {reference}")
    if len(ids) > 1:
        matches = (listing.get_identity(viewer, each) for each in ids)
        named = ", ".join(
            f"{one.ig_participant_id} ({one.display.text}, account {one.ig_account_id})" for one in matches
        )
        raise Conflict(f"Several contacts match {reference}: {named}. Use the ID, and the account if they share it.")
    return listing.get_identity(viewer, ids[0])
