"""The contacts of a job as API and commands list them: result, attempts and calls of each."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from app.db.paging import fetch_page
from app.errors import Invalid
from app.models.run import ItemState, RunItem
from app.runs import lifecycle
from app.viewer import Viewer


@dataclass(frozen=True, slots=True)
class ListedItem:
    """One contact of a job; `reason` and `code` say why it was not resolved. Times are aware UTC."""

    ig_participant_id: str
    position: int
    state: ItemState
    reason: str | None
    code: str | None
    tries: int
    calls: int
    settled_at: datetime | None
    next_try_at: datetime | None


def list_items(
    viewer: Viewer, run_id: str, *, state: str | None, limit: int, after: int = 0
) -> tuple[list[ListedItem], int | None]:
    """Return at most `limit` items after position `after`, and the position to continue with or None.

    Raises NotFound, and Invalid for an unknown state.
    """
    lifecycle.require_run(viewer, run_id)
    if state and state not in set(ItemState):
        raise Invalid({"state": f"The state must be one of {', '.join(ItemState)}."})
    found = select(
        *(RunItem.ig_participant_id, RunItem.position, RunItem.state, RunItem.reason, RunItem.code),
        *(RunItem.tries, RunItem.calls, RunItem.settled_at, RunItem.next_try_at),
    ).where(RunItem.run_id == run_id, RunItem.position > after)
    if state:
        found = found.where(RunItem.state == ItemState(state))
    rows, last = fetch_page(found.order_by(RunItem.position), limit)
    return [ListedItem(*row) for row in rows], last.position if last else None
