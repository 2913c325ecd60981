"""Dead letters once more, after a fix or once their account is connected: what lands now is no dead letter any more."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import delete, select

from app import audit, clock
from app.db import transaction
from app.ingest import dead_letters, pending_updates, receive
from app.instagram import webhook
from app.instagram.webhook import UnreadableBodyError
from app.models.inbox import DeadLetter
from app.models.user import Action
from app.viewer import Viewer

BATCH = 250


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of the letters: those that landed are gone, the others stay with their newest reason."""

    landed: int = 0
    stayed: int = 0

    @property
    def says(self) -> str:
        """The result as a sentence."""
        return f"Replayed {self.landed + self.stayed}: {self.landed} processed, {self.stayed} failed again."


@dataclass(frozen=True, slots=True)
class ReplayProgress:
    """How far a replay of all dead letters is: those up to `through`, of which `after` was the last."""

    total: int
    through: int
    after: int = 0
    landed: int = 0
    stayed: int = 0


def replay_one(viewer: Viewer, dead_letter_id: int) -> Replayed:
    """Replay one dead letter; raises NotFound, also for what the viewer may not see."""
    return _replay(viewer, [dead_letter_id])


def replay_all(viewer: Viewer) -> Replayed:
    """Replay all dead letters that the viewer may see, oldest first."""
    progress: ReplayProgress | None = start(viewer)
    done = Replayed()
    while progress:
        progress, done = replay_next(viewer, progress)
    return done


def start(viewer: Viewer) -> ReplayProgress:
    """Return a replay of the dead letters that the viewer may see now; later ones take no part."""
    return ReplayProgress(dead_letters.count(viewer), dead_letters.last_id(viewer))


def replay_next(viewer: Viewer, progress: ReplayProgress) -> tuple[ReplayProgress | None, Replayed]:
    """Replay the next letters, 250 at most; returns how far that is, None at the end, and the result so far."""
    batch = dead_letters.unprocessed(viewer, limit=BATCH, after=progress.after, through=progress.through)
    new = _replay(viewer, batch)
    done = Replayed(progress.landed + new.landed, progress.stayed + new.stayed)
    if len(batch) < BATCH:
        return None, done
    return replace(progress, after=batch[-1], landed=done.landed, stayed=done.stayed), done


def _replay(viewer: Viewer, dead_letter_ids: Sequence[int]) -> Replayed:
    landed = sum(_is_processed(viewer, dead_letters.get(viewer, each)) for each in dead_letter_ids)
    return Replayed(landed, len(dead_letter_ids) - landed)


def _is_processed(viewer: Viewer, letter: DeadLetter) -> bool:
    letter_id, account_id, received_at = letter.id, letter.account_id, letter.received_at
    was_shown = letter.reason == dead_letters.PARTLY_UNDERSTOOD
    announced = letter.mid_digest if letter.reason == dead_letters.UNRESOLVED else None
    try:
        items = webhook.parse(letter.raw, received_at=received_at)
    except UnreadableBodyError:
        return False
    if receive.store_items(items, received_at=received_at):
        return False
    with transaction.write() as tx:
        reason = tx.execute(select(DeadLetter.reason).where(DeadLetter.id == letter_id)).scalar()
        if reason == dead_letters.PARTLY_UNDERSTOOD and any(item.gaps for item in items):
            return not was_shown  # the letter is now a note, or still one
        tx.execute(delete(DeadLetter).where(DeadLetter.id == letter_id))
        audit.note(tx, viewer, Action.LETTER_REPLAYED, f"letter {letter_id}", account_id=account_id)
        if account_id is not None and announced is not None:
            pending_updates.start_over(tx, account_id, announced, at=clock.now())
    return True
