"""Dead letters once more, after a fix or once their account is connected: what lands now is no dead letter any more."""

from collections.abc import Iterable
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
    return _replay(viewer, [dead_letters.one(viewer, dead_letter_id)])


def everything(viewer: Viewer) -> Replayed:
    """Try the dead letters that the viewer may see again, those received first before the others; 500 at most."""
    return _replay(viewer, reversed(dead_letters.newest(viewer, limit=BATCH)))


def _replay(viewer: Viewer, letters: Iterable[DeadLetter]) -> Replayed:
    kept = [(each.id, each.account_id, each.raw, each.received_at, _announced(each)) for each in letters]
    landed = 0
    for letter_id, account_id, raw, received_at, mid_digest in kept:
        try:
            items = webhook.parse(raw, received_at=received_at)
        except UnreadableBodyError:
            continue
        if receive.land(items, received_at=received_at) == 0:
            with transaction.write() as tx:
                tx.execute(delete(DeadLetter).where(DeadLetter.id == letter_id))
                audit.note(tx, viewer, Action.LETTER_REPLAYED, f"letter {letter_id}", account_id=account_id)
                if account_id is not None and mid_digest is not None:
                    waiting.start_over(tx, account_id, mid_digest, at=clock.now())
            landed += 1
    return Replayed(landed, len(kept) - landed)


def _announced(letter: DeadLetter) -> bytes | None:
    return letter.mid_digest if letter.reason == dead_letters.UNRESOLVED else None
