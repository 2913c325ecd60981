"""Endpoints for dead letters: list, show, replay, discard. The token needs the scopes read and jobs to read them."""

from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from app.api import auth, cursors
from app.api.responses import DeadLetter, DeadLetterPage, Replay
from app.api.row_ids import number
from app.api.schemas import ById, DeadLettersQuery, ReplayQuery
from app.ingest import dead_letters, replay
from app.ingest.dead_letters import LetterFilter

DEAD_LETTERS = Tag(name="Dead letters", description="Webhook events that could not be processed.")


def register(api: APIBlueprint) -> None:
    """Add the endpoints of dead letters to `api`."""

    @api.get(
        "/api/dead-letters",
        tags=[DEAD_LETTERS],
        summary="List dead letters",
        description="Newest first, without their content. Requires the scopes `read` and `jobs`.",
        responses={200: DeadLetterPage},
    )
    def list_dead_letters(query: DeadLettersQuery) -> dict[str, Any]:
        want = LetterFilter(query.reason, query.accountId)
        after = cursors.position(query.cursor, "dead letters", want)
        rows, last = dead_letters.newest_page(auth.viewer(), want, limit=query.limit, after=after and after[:2])
        data = [dead_letters.as_dict(each) for each in rows]
        return {"data": data, "nextCursor": cursors.seal(last, "dead letters", want)}

    @api.get(
        "/api/dead-letters/<id>",
        tags=[DEAD_LETTERS],
        summary="Get a dead letter",
        description="With its content. Requires the scopes `read` and `jobs`.",
        responses={200: DeadLetter},
    )
    def get_dead_letter(path: ById) -> dict[str, Any]:
        letter = dead_letters.get(auth.viewer(), number(path.id, "dead letter"))
        return dead_letters.as_dict(letter) | {"raw": dead_letters.readable(letter.raw)}

    @api.post(
        "/api/dead-letters/<id>/replay", tags=[DEAD_LETTERS], summary="Replay a dead letter", responses={200: Replay}
    )
    def replay_dead_letter(path: ById) -> dict[str, Any]:
        done = replay.replay_one(auth.viewer(), number(path.id, "dead letter"))
        return {"processed": done.processed, "failed": done.failed, "nextCursor": None}

    @api.post(
        "/api/dead-letters/replay",
        tags=[DEAD_LETTERS],
        summary="Replay dead letters",
        description="Replays at most 250 that match, oldest first. Repeat the request with `nextCursor` until it is "
        "null.",
        responses={200: Replay},
    )
    def replay_dead_letters(query: ReplayQuery) -> dict[str, Any]:
        viewer, want = auth.viewer(), LetterFilter(query.reason, query.accountId)
        after = cursors.row(query.cursor, "replay", want) or 0
        progress, done = replay.replay_next(viewer, replay.start(viewer, want, after=after), want)
        sealed = cursors.seal(progress.after if progress else None, "replay", want)
        return {"processed": done.processed, "failed": done.failed, "nextCursor": sealed}

    @api.delete("/api/dead-letters/<id>", tags=[DEAD_LETTERS], summary="Discard a dead letter", responses={204: None})
    def discard_dead_letter(path: ById) -> tuple[str, int]:
        dead_letters.discard(auth.viewer(), number(path.id, "dead letter"))
        return "", 204
