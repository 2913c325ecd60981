"""Somebody asks for people to be looked up again: their failures are forgotten, and they are next in line."""

from collections.abc import Sequence

from app import audit, clock, queue
from app.db import transaction
from app.identities import listing, sighting
from app.models.user import Action
from app.viewer import Role, Viewer


def refresh(viewer: Viewer, identity_id: int) -> None:
    """Have one person looked up now, for ops; raises NotFound, also for whom the viewer may not see."""
    refresh_all(viewer, [identity_id])


def refresh_all(viewer: Viewer, identity_ids: Sequence[int]) -> int:
    """Have these people looked up now, for ops; returns how many. Raises NotFound if one of them is not to be seen."""
    viewer.require(Role.OPS)
    people = [listing.of(viewer, each) for each in identity_ids]
    with transaction.write() as tx:
        for person in people:
            sighting.ask(tx, person.account_id, person.ig_participant_id, at=clock.now())
            audit.note(tx, viewer, Action.IDENTITY_REFRESHED, f"identity {person.id}", account_id=person.account_id)
            tx.touch(person.account_id)
    for account_id in sorted({person.account_id for person in people}):
        queue.enqueue_once(queue.RESOLVE, account_id)
    return len(people)
