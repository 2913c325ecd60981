"""A gap of two hours with 300 messages: the report equals what was withheld, and rows those of a twin with webhooks."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select

from app import clock, gaps
from app.db import transaction
from app.db.engine import db
from app.models.account import Account
from app.models.conversation import Conversation, Message
from app.models.gap import GapCause, GapState
from app.models.identity import Identity
from app.models.run import LossCause
from app.runs import item_listing
from app.runs.item_listing import ItemFilter
from app.viewer import OPERATOR
from tests.factories import MAISON_LUNE, a_delivery, a_message_event, a_sandbox_account, an_echo_event
from tests.runs.test_gap_reports import the_gap, worked
from tests.support.processes import Sandbox
from tests.support.webhooks import receive_webhook

DEEP, UNSENT, ANSWERED, PEOPLE = 0, 1, 2, 23
SUMMARY = ("unread_count", "last_message_preview", "last_message_kind", "last_message_outgoing")
Withheld = list[tuple[str, str, str, int]]


@pytest.fixture
def account(meta: Sandbox) -> Account:
    return a_sandbox_account(connected_at=clock.now() - timedelta(days=400))


def withheld(meta: Sandbox, began_at: datetime, people: list[str]) -> Withheld:
    """Have contacts write 300 messages within two hours, the account's phone one of them; return who wrote what."""
    shares = Counter({people[DEEP]: 25, people[UNSENT]: 1, people[ANSWERED]: 2})
    rest = [each for place, each in enumerate(people) if place > ANSWERED]
    for number in range(300 - sum(shares.values())):
        shares[rest[number % len(rest)]] += 1
    turns = sorted((place / shares[who], who) for who in people for place in range(shares[who]))
    sent: Withheld = []
    for number, (_, who) in enumerate(turns):
        at_ms = int((began_at + timedelta(seconds=60 + 23 * number)).timestamp() * 1000)
        kind = "echo" if who == people[ANSWERED] and any(each[0] == who for each in sent) else "text"
        text = f"Message {number}"
        [mid] = meta.post("send", person=who, text=text, kind=kind, at_ms=at_ms)["mids"]
        sent.append((who, mid, kind, at_ms))
    return sent


def event_of(number: int, who: str, mid: str, kind: str, at_ms: int) -> dict[str, Any]:
    if kind == "echo":
        return an_echo_event(who, f"Message {number}", mid=mid, at_ms=at_ms)
    return a_message_event(who, f"Message {number}", mid=mid, at_ms=at_ms)


def rows() -> dict[str, dict[str, Any]]:
    """Return what the list shows of each conversation, with times in whole seconds as Meta's API has them."""
    db.session.rollback()
    found: dict[str, dict[str, Any]] = {}
    for row in db.session.scalars(select(Conversation)):
        since = row.needs_reply_since
        times = {"last": row.last_message_at, "incoming": row.last_incoming_at, "needs_reply": since}
        seconds = {name: at and at.replace(microsecond=0) for name, at in times.items()}
        found[row.ig_participant_id] = {name: getattr(row, name) for name in SUMMARY} | seconds
    return found


def unsend(mid: str, who: str) -> None:
    event = {"sender": {"id": who}, "recipient": {"id": MAISON_LUNE}, "message": {"mid": mid, "is_deleted": True}}
    receive_webhook(a_delivery(event | {"timestamp": int(clock.now().timestamp() * 1000)}))


@pytest.mark.timeout(120)
def test_the_report_equals_what_was_withheld_contact_by_contact(account: Account, meta: Sandbox) -> None:
    people = [each["id"] for each in meta.get(f"people?account={MAISON_LUNE}")[:PEOPLE]]
    ended_at = clock.now() - timedelta(seconds=30)
    began_at = ended_at - timedelta(hours=2)
    sent = withheld(meta, began_at, people)
    assert len(sent) == 300
    [gone] = [mid for who, mid, _, _ in sent if who == people[UNSENT]]
    meta.post("send", person=people[UNSENT], kind="unsend", mid=gone)
    unsend(gone, people[UNSENT])  # webhooks arrive again
    with transaction.write() as tx:
        gaps.record(tx, account.id, GapCause.OUTAGE, began_at=began_at, ended_at=ended_at)
    worked()

    gap = the_gap()
    assert (gap.state, gap.found, gap.conversations) == (GapState.CLOSED_WITH_LOSSES, 294, 22)
    assert gap.lost == {LossCause.OLDER: 5, LossCause.UNSENT: 1}
    found = item_listing.iter_items(OPERATOR, gap.run_id or "", ItemFilter())
    written = Counter(who for who, *_ in sent)
    assert {each.ig_participant_id: (each.found, each.lost) for each in found} == {
        who: (20, {LossCause.OLDER: 5}) if who == people[DEEP] else (number, {})
        for who, number in written.items()
        if who != people[UNSENT]
    }

    ours = rows()
    with transaction.write() as tx:
        for table in (Message, Conversation, Identity):
            tx.execute(delete(table))
    for number, one in enumerate(sent):
        receive_webhook(a_delivery(event_of(number, *one)))
    unsend(gone, people[UNSENT])
    twin = rows()
    deep, deep_twin = ours.pop(people[DEEP]), twin.pop(people[DEEP])
    lost_only = twin.pop(people[UNSENT])
    assert ours == twin
    assert (lost_only["unread_count"], lost_only["last_message_preview"]) == (0, None)
    assert deep_twin["unread_count"] - deep["unread_count"] == 5
    assert deep["needs_reply"] > deep_twin["needs_reply"]
    assert [deep[name] for name in SUMMARY[1:]] == [deep_twin[name] for name in SUMMARY[1:]]
