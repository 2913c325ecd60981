"""Replay dead letters, for example after a fix or once their account is connected; those that succeed are deleted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import delete, select

from app import audit, clock
from app.db import transaction
from app.ingest import dead_letters, pending_updates, receive
from app.ingest.dead_letters import ALL, LetterFilter
from app.instagram import webhook
from app.instagram.webhook import UnreadableBodyError
from app.models.audit import Action
from app.models.ingest import DeadLetter
from app.viewer import Viewer

BATCH = 250


@dataclass(frozen=True, slots=True)
class Replayed:
    """The result of a replay: `processed` dead letters are deleted, `failed` ones stay with their newest reason."""

    processed: int = 0
    failed: int = 0

    @property
    def says(self) -> str:
        """The result as a sentence."""
        return f"Replayed {self.processed + self.failed}: {self.processed} processed, {self.failed} failed again."


@dataclass(frozen=True, slots=True)
class ReplayProgress:
    """The progress of a replay of all dead letters up to the ID `through`; `after` is the last one tried."""

    total: int
    through: int
    after: int = 0
    processed: int = 0
    failed: int = 0


def replay_one(viewer: Viewer, dead_letter_id: int) -> Replayed:
    """Replay one dead letter; raises NotFound, also if the viewer may not see it."""
    return _replay(viewer, [dead_letter_id])


def replay_all(viewer: Viewer, want: LetterFilter = ALL) -> Replayed:
    """Replay all dead letters that match and the viewer may see, oldest first."""
    progress: ReplayProgress | None = start(viewer, want)
    done = Replayed()
    while progress:
        progress, done = replay_next(viewer, progress, want)
    return done


def start(viewer: Viewer, want: LetterFilter = ALL, *, after: int = 0) -> ReplayProgress:
    """Start a replay of the dead letters the viewer may see now; later ones are not included.

    `after` is the ID of the last one that an earlier request tried.
    """
    return ReplayProgress(dead_letters.count(viewer, want), dead_letters.last_id(viewer), after)


def replay_next(
    viewer: Viewer, progress: ReplayProgress, want: LetterFilter = ALL
) -> tuple[ReplayProgress | None, Replayed]:
    """Replay the next 250 dead letters; return the progress (None when finished) and the result so far."""
    batch = dead_letters.unprocessed(viewer, want, limit=BATCH, after=progress.after, through=progress.through)
    new = _replay(viewer, batch)
    done = Replayed(progress.processed + new.processed, progress.failed + new.failed)
    if len(batch) < BATCH:
        return None, done
    return replace(progress, after=batch[-1], processed=done.processed, failed=done.failed), done


def _replay(viewer: Viewer, dead_letter_ids: Sequence[int]) -> Replayed:
    processed = sum(_is_processed(viewer, dead_letters.get(viewer, each)) for each in dead_letter_ids)
    return Replayed(processed, len(dead_letter_ids) - processed)


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
            return not was_shown  # the dead letter became a note, or still is one
        tx.execute(delete(DeadLetter).where(DeadLetter.id == letter_id))
        audit.note(tx, viewer, Action.LETTER_REPLAYED, f"letter {letter_id}", account_id=account_id)
        if account_id is not None and announced is not None:
            pending_updates.start_over(tx, account_id, announced, at=clock.now())
    return True
