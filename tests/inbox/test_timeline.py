"""Grouping messages by day, sender and pause; IDs alone decide who sent a message."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import count
from typing import Any

import pytest
from flask import Flask

from app import clock
from app.identities import display
from app.inbox import timeline
from app.inbox.timeline import Day, MessageGroup, Parties
from tests.factories import LEA, MAISON_LUNE, MAISON_LUNE_IGSID

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
TOKYO = timezone(timedelta(hours=9))
SHOWN = display.display_name(LEA, "lea.moreau", "Léa Moreau")
PARTIES = Parties(
    LEA, frozenset({MAISON_LUNE, MAISON_LUNE_IGSID}), SHOWN, display.avatar(LEA, SHOWN), display.avatar("1", SHOWN)
)
_ids = count(1)


@dataclass
class Row:
    """One message as the database gives it."""

    ig_sender_id: str = LEA
    ago: timedelta = timedelta(0)
    outgoing: bool = False
    kind: str = "text"
    text: str | None = "Hello"
    attachments: list[dict[str, Any]] | None = None
    context: dict[str, Any] | None = None
    reactions: dict[str, Any] | None = None
    edit_number: int | None = None
    mid: str = "m"
    id: int = field(default_factory=lambda: next(_ids))

    @property
    def sent_at(self) -> datetime:
        """When it was sent."""
        return NOW - self.ago


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch, app: Flask) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


def grouped(*rows: Row, zone: Any = UTC, first_new: int | None = None, parties: Parties = PARTIES) -> tuple[Day, ...]:
    return timeline.group_by_day(rows, parties, zone=zone, first_new=first_new)


def runs(*rows: Row, parties: Parties = PARTIES) -> list[MessageGroup]:
    return [run for day in grouped(*rows, parties=parties) for run in day.runs]


def test_days_are_the_reader_s_and_say_how_near_they_are() -> None:
    rows = [Row(ago=timedelta(days=400)), Row(ago=timedelta(days=1)), Row()]
    assert [(day.near, day.label) for day in grouped(*rows)] == [
        ("", "Thursday 16 October 2025"),
        ("Yesterday", "Thursday 19 November"),
        ("Today", "Friday 20 November"),
    ]
    evening = [Row(ago=timedelta(hours=17)), Row()]
    assert len(grouped(*evening)) == 2
    assert len(grouped(*evening, zone=TOKYO)) == 1


def test_one_sender_within_ten_minutes_is_one_run() -> None:
    rows = [Row(ago=timedelta(minutes=30)), Row(ago=timedelta(minutes=20)), Row(ago=timedelta(minutes=9))]
    assert [len(run.messages) for run in runs(*rows)] == [2, 1]


def test_ours_are_ours_by_any_of_our_ids_or_as_an_echo() -> None:
    ours = [Row(MAISON_LUNE), Row(MAISON_LUNE_IGSID), Row("1", outgoing=True)]
    assert [(run.side, run.sender) for run in runs(*ours)] == [("ours", "You")]
    assert [(run.side, run.sender) for run in runs(Row())] == [("theirs", "@lea.moreau")]


def test_an_unknown_sender_is_neither_the_contact_nor_the_account() -> None:
    [stranger] = runs(Row("1520000000000777"))
    assert (stranger.side, stranger.sender) == ("unknown", "1520000000000777")


def test_only_the_last_message_of_the_account_shows_that_it_was_sent() -> None:
    found = runs(Row(MAISON_LUNE), Row(), Row(MAISON_LUNE), Row())
    assert [run.state for run in found] == [None, None, "Sent", None]


def test_the_first_new_message_begins_a_run_so_that_the_divider_stands_before_it() -> None:
    rows = [Row(), Row(), Row()]
    [day] = grouped(*rows, first_new=rows[1].id)
    assert [[message.first_new for message in run.messages] for run in day.runs] == [[False], [True, False]]


def test_media_of_other_hosts_have_no_url() -> None:
    attachments = [
        {"kind": "image", "url": "https://scontent.cdninstagram.com/a"},
        {"kind": "image", "url": "https://example.com/a"},
    ]
    [run] = runs(Row(kind="image", attachments=attachments))
    assert [each.url for each in run.messages[0].attachments] == ["https://scontent.cdninstagram.com/a", None]


@pytest.mark.parametrize(("seen_minutes_ago", "state"), [(None, "Sent"), (20, "Sent"), (10, "Seen"), (0, "Seen")])
def test_the_last_message_of_the_account_is_seen_when_the_contact_saw_that_far(
    seen_minutes_ago: int | None, state: str
) -> None:
    until = NOW - timedelta(minutes=seen_minutes_ago) if seen_minutes_ago is not None else None
    parties = replace(PARTIES, seen_until=until, seen_at=NOW if until else None)
    [run] = runs(Row(MAISON_LUNE, ago=timedelta(minutes=10)), parties=parties)
    assert (run.state, run.seen_at) == (state, NOW if state == "Seen" else None)


def test_reactions_say_whose_they_are_and_taken_back_ones_are_gone() -> None:
    found = (MAISON_LUNE, 2, "👍"), (LEA, 1, "❤️"), ("1520000000000033", 3, None), ("1520000000000044", 4, "😂")
    at = {second: (NOW + timedelta(seconds=second)).isoformat() for _, second, _ in found}
    [run] = runs(Row(reactions={sender: {"at": at[second], "emoji": emoji} for sender, second, emoji in found}))
    assert [each.label for each in run.messages[0].reactions] == [
        *("@lea.moreau reacted with ❤️", "You reacted with 👍", "Unknown sender reacted with 😂")
    ]


@pytest.mark.parametrize(
    ("context", "what", "quote"),
    [
        ({"reply_to": {"mid": "parent"}}, "Replied to a message", "The question"),
        ({"reply_to": {"mid": "elsewhere"}}, "Replied to an earlier message", None),
        ({"reply_to": {"story": {"url": "https://example.com/a"}}}, "Replied to your story", None),
        ({"referral": {"ads_context_data": {"ad_title": "Linen week"}}}, "Started from an ad", "Linen week"),
        ({"referral": {"product": {"id": "52"}}}, "Asked about a product", "52"),
        ({"referral": {"ref": "flyer"}}, "Started from a link", "flyer"),
        ({"quick_reply": {"payload": "SIZE"}}, "Tapped a quick reply", None),
    ],
)
def test_a_message_says_what_it_refers_to(context: dict[str, Any], what: str, quote: str | None) -> None:
    [run] = runs(Row(mid="parent", text="The question"), Row(context=context))
    [reference] = run.messages[1].references
    assert (reference.what, reference.quote, reference.url) == (what, quote, None)


def test_an_edited_message_says_so() -> None:
    [run] = runs(Row(edit_number=1), Row())
    assert [message.edited for message in run.messages] == [True, False]
