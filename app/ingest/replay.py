"""Dead letters once more, after a fix or once their account is connected: what lands now is no dead letter any more."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete

from app import audit, clock
from app.db import transaction
from app.ingest import dead_letters, receive, waiting
from app.instagram import webhook
from app.instagram.webhook import UnreadableBodyError
from app.models.inbox import DeadLetter
from app.models.user import Action
from app.viewer import Viewer

BATCH = 500


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of the letters: those that landed are gone, the others stay with their newest reason."""

    landed: int
    stayed: int


def one(viewer: Viewer, dead_letter_id: int) -> Replayed:
    """Try one dead letter again; raises NotFound, also for what the viewer may not see."""
    return _replay(viewer, [dead_letter_id])


def everything(viewer: Viewer) -> Replayed:
    """Try the dead letters that the viewer may see again, those received first before the others; 500 at most."""
    return _replay(viewer, dead_letters.unprocessed(viewer, limit=BATCH))


def _replay(viewer: Viewer, dead_letter_ids: Sequence[int]) -> Replayed:
    landed = sum(_is_processed(viewer, dead_letters.one(viewer, each)) for each in dead_letter_ids)
    return Replayed(landed, len(dead_letter_ids) - landed)


def _is_processed(viewer: Viewer, letter: DeadLetter) -> bool:
    letter_id, account_id, received_at = letter.id, letter.account_id, letter.received_at
    was_shown = letter.reason == dead_letters.PARTLY_UNDERSTOOD
    announced = letter.mid_digest if letter.reason == dead_letters.UNRESOLVED else None
    try:
        items = webhook.parse(letter.raw, received_at=received_at)
    except UnreadableBodyError:
        return False
    if receive.land(items, received_at=received_at):
        return False
    if any(item.gaps for item in items):
        return not was_shown  # the letter is now a note, or still one
    with transaction.write() as tx:
        tx.execute(delete(DeadLetter).where(DeadLetter.id == letter_id))
        audit.note(tx, viewer, Action.LETTER_REPLAYED, f"letter {letter_id}", account_id=account_id)
        if account_id is not None and announced is not None:
            waiting.start_over(tx, account_id, announced, at=clock.now())
    return True
