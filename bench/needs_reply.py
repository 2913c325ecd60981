"""The list of conversations that need a reply against the whole list, in one account of a million conversations."""

import statistics
import time
from collections.abc import Iterator
from datetime import timedelta

from sqlalchemy import text

from app import clock
from app.db import transaction
from app.db.engine import db
from app.inbox import listing
from app.models.account import Account, AccountState, Login
from app.viewer import OPERATOR
from bench.measures import Figure

CONVERSATIONS, ROUNDS = 1_000_000, 40
IG_ACCOUNT_ID, SPREAD = "17841400000099999", timedelta(days=30)
MOST = 1.2
# A contact wrote every few seconds of 30 days; every third one needs a reply.
_FILL = """
WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < :last)
INSERT INTO conversations (account_id, ig_participant_id, known, unread_count, first_message_at, last_message_at,
  last_message_mid, last_message_kind, last_message_preview, last_message_outgoing, last_incoming_at, needs_reply_since)
SELECT :account_id, '15' || n, true, 0, {at}, {at}, 'm', 'text', 'Thank you', false, {at},
  CASE WHEN n % 3 = 0 THEN {at} END
FROM numbers
"""
_AT = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f000', :begin + n * :step, 'unixepoch')",
    "postgresql": "to_timestamp(:begin + n * :step)",
}


def ratio(*, on: str, conversations: int = CONVERSATIONS) -> Iterator[Figure]:
    """Compare the medians of the first page of both lists, whose rounds alternate."""
    account_id = _account(conversations)
    times: dict[str, list[float]] = {"all": [], "needs_reply": []}
    for _ in range(ROUNDS):
        for filter_, taken in times.items():
            began = time.perf_counter()
            rows = listing.page(
                OPERATOR, account_id, listing.parse_filter(filter_=filter_), ig_account_id=IG_ACCOUNT_ID
            ).rows
            taken.append(time.perf_counter() - began)
            db.session.rollback()
            assert len(rows) == listing.ROWS
    whole, ours = (statistics.median(taken) for taken in times.values())
    yield Figure(f"needed replies against the whole list, {on}", ours / whole, MOST, "×")
    yield Figure(f"  the whole list of {conversations:,} conversations, {on}", whole * 1e3, None, "ms")


def _account(conversations: int) -> int:
    begin = clock.now() - SPREAD
    account = Account(
        ig_account_id=IG_ACCOUNT_ID, login=Login.INSTAGRAM, own_ids=[], state=AccountState.CONNECTED, connected_at=begin
    )
    with transaction.write() as tx:
        tx.session.add(account)
        tx.session.flush()
        account_id = account.id
        step = SPREAD.total_seconds() / conversations
        values = {"account_id": account_id, "begin": begin.timestamp(), "step": step, "last": conversations - 1}
        if tx.dialect == "postgresql":
            tx.execute(text("SET LOCAL statement_timeout = 0"))
        tx.execute(text(_FILL.format(at=_AT[tx.dialect])), values)
    return account_id
