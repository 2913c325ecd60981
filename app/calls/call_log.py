"""Call log: one row before each call to Meta, completed with its result. The only writer of `api_calls`."""

import logging
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from app import clock, counters
from app.db import transaction
from app.errors import NotFound, Unavailable
from app.instagram.responses import ConversationListPage, MessageIds, Profile, TokenOwner
from app.models.call import ApiCall, Purpose
from app.text import real_name

logger = logging.getLogger(__name__)

ANSWER_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Call:
    """A call to Meta: account, name of the call, purpose, and the contact and job it is for."""

    account_id: int
    name: str
    purpose: Purpose
    ig_participant_id: str | None = None
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class LoggedCall:
    """A call with a row in the log; `began` is on the monotonic clock."""

    call: Call
    row_id: int
    began: float


def begin(call: Call, *, at: datetime) -> LoggedCall:
    """Log a call that is made at `at` (aware UTC); raises Unavailable, and NotFound without the account."""
    try:
        with transaction.write() as tx:
            row = tx.insert(ApiCall).values(
                account_id=call.account_id,
                call=call.name,
                purpose=call.purpose,
                ig_participant_id=call.ig_participant_id,
                run_id=call.run_id,
                at=at,
            )
            row_id = int(tx.execute(row.returning(ApiCall.id)).scalar_one())
    except IntegrityError:  # the account was removed meanwhile
        raise NotFound("account") from None
    return LoggedCall(call, row_id, clock.monotonic())


def finish(logged: LoggedCall, *, http_status: int | None, code: str | None, answer: str) -> None:
    """Log the result of a call; never raises, because a row without a result counts as a call, too."""
    call = logged.call
    counters.API_CALLS.add(str(call.account_id), call.purpose, call.name, "failed" if code else "ok")
    values = {"http_status": http_status, "code": code, "answer": answer[:ANSWER_CHARACTERS]}
    took_ms = round((clock.monotonic() - logged.began) * 1000)
    try:
        with transaction.write() as tx:
            tx.execute(update(ApiCall).where(ApiCall.id == logged.row_id).values(took_ms=took_ms, **values))
    except Unavailable:
        logger.warning("result of a call not logged: database unavailable", extra={"lookup": logged.row_id})


def summary(answer: Profile | ConversationListPage | MessageIds | TokenOwner) -> str:
    """Return a short description of a response, without names."""
    if isinstance(answer, ConversationListPage):
        skipped = f", {len(answer.skipped)} skipped" if answer.skipped else ""
        return f"{len(answer.threads)} conversations{skipped}"
    if isinstance(answer, MessageIds):
        return f"{len(answer.messages)} message IDs"
    if isinstance(answer, TokenOwner):
        return "The token works"
    given = {"username": answer.username, "name": answer.name}
    known = [field for field, value in given.items() if real_name(value)] + ["picture"] * bool(answer.picture_url)
    placeholders = [f"a placeholder as {field}" for field, value in given.items() if value and not real_name(value)]
    return ", ".join(known + placeholders) or "nothing but the ID"
