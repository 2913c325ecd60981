"""Messages as a thread shows them: grouped by day and by sender. Who sent one is decided by ids alone."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from itertools import groupby
from typing import Any

from app import clock, settings
from app.identities import display
from app.identities.display import Avatar, DisplayName
from app.inbox import media

GAP = timedelta(minutes=10)  # a longer silence begins a new run of messages (ui.md 6.3)
OURS, THEIRS, UNKNOWN = "ours", "theirs", "unknown"
SENT = "Sent"  # an echo received is all that Meta tells of our messages so far


@dataclass(frozen=True, slots=True)
class Attachment:
    """One attachment; `url` is given only when the browser may load it (product.md 6), else a placeholder is shown."""

    kind: str
    url: str | None
    title: str | None


@dataclass(frozen=True, slots=True)
class Message:
    """One message; `kind` chooses the template that shows it, `first_new` puts the "New" divider before it."""

    id: int
    kind: str
    text: str | None
    attachments: tuple[Attachment, ...]
    sent_at: datetime
    first_new: bool


@dataclass(frozen=True, slots=True)
class MessageRun:
    """Messages of one sender, at most ten minutes apart: `side` is "theirs", "ours" or "unknown"."""

    id: str
    side: str
    sender: str
    avatar: Avatar | None
    at: datetime
    messages: tuple[Message, ...]
    state: str | None


@dataclass(frozen=True, slots=True)
class Day:
    """The messages of one day in the viewer's time zone."""

    date: date
    label: str
    runs: tuple[MessageRun, ...]


@dataclass(frozen=True, slots=True)
class Parties:
    """Who may have sent a message: the person, and the account under all its ids."""

    ig_participant_id: str
    own_ids: frozenset[str]
    person: DisplayName
    person_avatar: Avatar
    account_avatar: Avatar


def group(rows: Sequence[Any], parties: Parties, *, zone: tzinfo, first_new: int | None) -> tuple[Day, ...]:
    """Return message rows, oldest first, as days of runs; `zone` is the viewer's, `first_new` a message's id."""
    today = clock.now().astimezone(zone).date()
    last_ours = next((row.id for row in reversed(rows) if _sender(row, parties)[0] == OURS), None)
    days = []
    for day, of_day in groupby(rows, key=lambda row: row.sent_at.astimezone(zone).date()):
        runs = tuple(_run(run, parties, first_new=first_new, last_ours=last_ours) for run in _runs(of_day, parties))
        days.append(Day(day, _label(day, today), runs))
    return tuple(days)


def _runs(rows: Iterable[Any], parties: Parties) -> Iterator[list[Any]]:
    run: list[Any] = []
    for row in rows:
        if run and (_sender(row, parties) != _sender(run[-1], parties) or row.sent_at - run[-1].sent_at > GAP):
            yield run
            run = []
        run.append(row)
    if run:
        yield run


def _run(rows: Sequence[Any], parties: Parties, *, first_new: int | None, last_ours: int | None) -> MessageRun:
    side, stranger = _sender(rows[0], parties)
    if side == OURS:
        sender, avatar = "You", parties.account_avatar
    elif side == THEIRS:
        sender, avatar = parties.person.text, parties.person_avatar
    else:
        sender, avatar = f"Unknown sender {stranger}", display.avatar(stranger, display.name_of(stranger, None, None))
    return MessageRun(
        id=f"r-{rows[0].id}",
        side=side,
        sender=sender,
        avatar=avatar,
        at=rows[0].sent_at,
        messages=tuple(_message(row, first_new) for row in rows),
        state=SENT if rows[-1].id == last_ours else None,
    )


def _sender(row: Any, parties: Parties) -> tuple[str, str]:
    # Never by exclusion: an id that is neither the account's nor the person's is somebody we cannot name.
    if row.outgoing or row.ig_sender_id in parties.own_ids:
        return OURS, ""
    return (THEIRS, "") if row.ig_sender_id == parties.ig_participant_id else (UNKNOWN, row.ig_sender_id)


def _message(row: Any, first_new: int | None) -> Message:
    hosts = settings.current().media_hosts
    attachments = tuple(
        Attachment(str(each.get("kind")), media.loadable(each.get("url"), hosts), each.get("title"))
        for each in row.attachments or ()
    )
    return Message(row.id, row.kind, row.text, attachments, row.sent_at, row.id == first_new)


def _label(day: date, today: date) -> str:
    written = f"{day:%A} {day.day} {day:%B}" + (f" {day.year}" if day.year != today.year else "")
    near = {today: "Today, ", today - timedelta(days=1): "Yesterday, "}
    return near.get(day, "") + written
