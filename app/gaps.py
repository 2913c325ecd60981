"""Gaps: periods in which Nametag did not receive webhooks. They are recorded here and read by app/runs/gap_reports.py.

Overlapping gaps of an account are one, until a sync has read it.
"""

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, delete, func, or_, select, update

from app import clock
from app.db import transaction
from app.db.engine import db
from app.db.transaction import Tx
from app.db.types import member
from app.errors import NotFound, Unavailable
from app.models.account import Account, AccountState
from app.models.gap import UNCLOSED, Gap, GapCause, GapState
from app.models.process import Heartbeat
from app.models.run import LossCause
from app.text import plural
from app.viewer import SCHEDULE, Viewer

logger = logging.getLogger(__name__)

WEB = "web"  # the part of the web servers in `heartbeats`
BEAT_SECONDS = 10.0
OUTAGE = timedelta(minutes=2)  # without a heartbeat of any web server
MOST_AHEAD = timedelta(minutes=15)  # between the clocks of web servers; a later heartbeat was written by a wrong clock
SHOWN = timedelta(days=7)  # in the inbox, unless a user dismisses it
MOST_REPORTED = 3  # at a time: an outage in pieces leaves room for conversations
MOST_LISTED = 100
_NEWEST = (Gap.began_at.desc(), Gap.id.desc())
_FINISHED = (GapState.CLOSED, GapState.CLOSED_WITH_LOSSES, GapState.GIVEN_UP)
_COLUMNS: tuple[Any, ...] = (Gap, Account.ig_account_id, Account.username)
_GAPS: Select[Any] = (
    select(*_COLUMNS).join(Account, Account.id == Gap.account_id).where(Account.state != AccountState.DELETING)
)
# Every list reads them, and building a statement takes longer than executing it.
_REPORTS = _GAPS.where(
    *(Gap.account_id == bindparam("account_id"), Gap.state.in_(_FINISHED)),
    *(Gap.closed_at > bindparam("since"), Gap.dismissed_at.is_(None)),
).order_by(Gap.began_at)
_failing = threading.Event()  # the last heartbeat of this process could not be written


@dataclass(frozen=True, slots=True)
class ListedGap:
    """A gap for pages, API and commands. Times are aware UTC; `ended_at` is None while it lasts."""

    id: int
    ig_account_id: str
    account: str
    began_at: datetime
    ended_at: datetime | None
    causes: tuple[GapCause, ...]
    state: GapState
    run_id: str | None
    conversations: int
    found: int
    history: int
    lost: dict[str, int]
    closed_at: datetime | None
    dismissed_at: datetime | None
    dismissed_by: str | None

    @property
    def missing(self) -> int:
        """The number of messages that could not be fetched, as far as is known."""
        return sum(self.lost.values())

    @property
    def has_news(self) -> bool:
        """Whether something was fetched or is missing, or its sync did not finish."""
        return bool(self.found or self.missing or self.state is GapState.GIVEN_UP)


def record(tx: Tx, account_id: int, cause: GapCause, *, began_at: datetime, ended_at: datetime | None = None) -> None:
    """Record a gap, or make an unclosed one that it overlaps longer. Times are aware UTC; None: it lasts."""
    # Locks the account, so that two processes do not both add one.
    account = tx.execute(select(Account.connected_at).where(Account.id == account_id).with_for_update()).first()
    if account is None:
        return
    # Not in the future: a clock that was ahead may have stored the time of the last webhook.
    began_at = min(max(began_at, account.connected_at), ended_at or clock.now())
    unclosed = select(Gap).where(Gap.account_id == account_id, Gap.state.in_(UNCLOSED))
    overlaps: list[ColumnElement[bool]] = [or_(Gap.ended_at.is_(None), Gap.ended_at >= began_at)]
    if ended_at is not None:
        overlaps.append(Gap.began_at <= ended_at)
    found = tx.execute(unclosed.where(*overlaps).order_by(Gap.id)).all()
    ends = [*(each.ended_at for each in found), ended_at]
    causes = list(dict.fromkeys([*(name for each in found for name in each.causes), cause.value]))
    values: dict[str, Any] = {
        "began_at": min([*(each.began_at for each in found), began_at]),
        "ended_at": None if None in ends else max(filter(None, ends)),
        "causes": causes,
        "state": GapState.OPEN,
    }
    if found:
        tx.execute(update(Gap).where(Gap.id == found[0].id).values(**values))
        tx.execute(delete(Gap).where(Gap.id.in_([each.id for each in found[1:]])))
    else:
        tx.execute(tx.insert(Gap).values(account_id=account_id, **values))
        logger.warning("gap recorded", extra={"account": account_id, "cause": cause.value})
    tx.mark_changed(account_id)


def end(tx: Tx, account_id: int, *, at: datetime) -> None:
    """Record that webhooks of an account arrive again; its gap is read next."""
    lasting = (Gap.account_id == account_id, Gap.state.in_(UNCLOSED), Gap.ended_at.is_(None))
    tx.execute(update(Gap).where(*lasting).values(ended_at=at, state=GapState.OPEN))


def mark(tx: Tx, account_id: int) -> datetime:
    """Return until when an account is known to have received everything: its last webhook or complete sync."""
    columns = (Account.connected_at, Account.last_webhook_at, Account.covered_until)
    known = tx.execute(select(*columns).where(Account.id == account_id)).one()
    newest: datetime = max(at for at in known if at is not None)
    return newest


def list_gaps(viewer: Viewer, account_id: int | None = None) -> list[ListedGap]:
    """Return the newest gaps of the accounts that the viewer may see, or of one of them."""
    found = _visible(viewer).order_by(*_NEWEST).limit(MOST_LISTED)
    return _listed(found if account_id is None else found.where(Gap.account_id == account_id))


def newest_by_account(viewer: Viewer, most: int) -> Mapping[str, list[ListedGap]]:
    """Return the newest `most` gaps of each account that the viewer may see, newest first, by its Instagram ID."""
    place = func.row_number().over(partition_by=Gap.account_id, order_by=_NEWEST).label("place")
    numbered = select(Gap.id, place).subquery()
    newest = _visible(viewer).join(numbered, numbered.c.id == Gap.id).where(numbered.c.place <= most)
    found = defaultdict[str, list[ListedGap]](list)
    for gap in _listed(newest.order_by(*_NEWEST)):
        found[gap.ig_account_id].append(gap)
    return found


def reports(viewer: Viewer, account_id: int | None) -> list[ListedGap]:
    """Return the reports for the inbox of an account: gaps of which something was fetched or is missing.

    Once a user has dismissed one, no other user sees it. At most the newest MOST_REPORTED, oldest first.
    """
    found = _listed(_visible(viewer, _REPORTS), account_id=account_id, since=clock.now() - SHOWN)
    return [each for each in found if each.has_news][-MOST_REPORTED:]


def list_unclosed() -> list[ListedGap]:
    """Return the gaps of every account that last, or are not fetched yet, oldest first."""
    return _listed(_visible(SCHEDULE).where(Gap.state.in_(UNCLOSED)).order_by(Gap.began_at, Gap.id))


def list_closed(account_id: int, since: datetime) -> list[ListedGap]:
    """Return the gaps of an account that were closed since then (aware UTC), oldest first."""
    closed = (Gap.account_id == account_id, Gap.closed_at >= since)
    return _listed(_visible(SCHEDULE).where(*closed).order_by(Gap.began_at, Gap.id))


def dismiss(viewer: Viewer, gap_id: int) -> None:
    """Dismiss a report for every user. Raises NotFound, also for an account that the viewer may not see."""
    found = db.session.execute(select(Gap.account_id).where(Gap.id == gap_id)).scalar()
    if found is None or not viewer.sees(found):
        raise NotFound("gap")
    with transaction.write() as tx:
        undismissed = update(Gap).where(Gap.id == gap_id, Gap.dismissed_at.is_(None))
        tx.execute(undismissed.values(dismissed_at=clock.now(), dismissed_by=viewer.name))
        tx.mark_changed(found)


def purge(tx: Tx, before: datetime) -> int:
    """Delete gaps that were closed before then (aware UTC). Return their number."""
    return int(tx.execute(delete(Gap).where(Gap.closed_at < before)).rowcount)


def as_text(gap: ListedGap, period: Callable[[datetime, datetime], str]) -> str:
    """Return the report of a gap in words; `period` formats its two times."""
    return with_outcome(f"@{gap.account} received nothing {period(gap.began_at, gap.ended_at or clock.now())}", gap)


def with_outcome(begun: str, gap: ListedGap) -> str:
    """Return the beginning of a report, continued with what a sync fetched."""
    return f"{begun}: {outcome(gap)}" if gap.state in _FINISHED else f"{begun}. {outcome(gap)}"


def outcome(gap: ListedGap) -> str:
    """Return what a sync fetched of a gap, in words, or that none has yet."""
    if gap.state not in _FINISHED:
        return "The messages are being fetched." if gap.ended_at else "It has not ended."
    were = "was" if gap.found == 1 else "were"
    fetched = f"{plural(gap.found, 'message')} in {plural(gap.conversations, 'conversation')} {were} fetched"
    missing = f", {gap.missing:,} could not be" if gap.missing else ""
    older = f" {gap.history:,} of them are older than 7 days, and count as read." if gap.history else ""
    stopped = " The sync did not finish. Start a conversation sync." if gap.state is GapState.GIVEN_UP else ""
    return f"{fetched if gap.found else 'no messages were fetched'}{missing}.{older}{stopped}"


def as_dict(gap: ListedGap) -> dict[str, Any]:
    """Return a gap as JSON of the API and of commands; times are RFC 3339."""
    return {
        "id": str(gap.id),
        "accountId": gap.ig_account_id,
        "from": clock.rfc3339(gap.began_at),
        "to": clock.rfc3339(gap.ended_at),
        "causes": [cause.value for cause in gap.causes],
        "state": gap.state.value,
        "jobId": gap.run_id,
        "conversations": gap.conversations,
        "fetched": gap.found,
        "history": gap.history,
        "notGiven": LossCause.counts(gap.lost),
        "closedAt": clock.rfc3339(gap.closed_at),
        "dismissedBy": gap.dismissed_by,
        "dismissedAt": clock.rfc3339(gap.dismissed_at),
    }


def start_beating(context: Callable[[], AbstractContextManager[Any]]) -> None:
    """Report from a thread that this web server runs, in the app context `context`. For a long-running process."""
    threading.Thread(target=_beat_in_background, args=(context,), name="heartbeat", daemon=True).start()


def beat() -> None:
    """Record that a web server runs, and a gap of all accounts if none has for two minutes. Never raises."""
    now = clock.now()
    try:
        with transaction.write() as tx:
            last = select(Heartbeat.at).where(Heartbeat.part == WEB).with_for_update()
            before = tx.execute(last).scalar()
            # A server whose clock is behind keeps the time of the others, else each of theirs would follow an outage.
            at = before if before is not None and now < before <= now + MOST_AHEAD else now
            row = tx.insert(Heartbeat).values(part=WEB, at=at)
            tx.execute(row.on_conflict_do_update(index_elements=["part"], set_={"at": row.excluded.at}))
            if before is not None and now - before > OUTAGE:
                _record_outage(tx, before, now)
    except Unavailable:
        _failing.set()
        logger.warning("heartbeat not written", extra={"part": WEB})
    else:
        _failing.clear()


def _record_outage(tx: Tx, before: datetime, now: datetime) -> None:
    cause = GapCause.DATABASE if _failing.is_set() else GapCause.OUTAGE
    accounts = select(Account.id).where(Account.state != AccountState.DELETING).order_by(Account.id)
    for account_id in tx.execute(accounts).scalars().all():
        record(tx, account_id, cause, began_at=before, ended_at=now)


def _beat_in_background(context: Callable[[], AbstractContextManager[Any]]) -> None:
    while True:
        clock.sleep(BEAT_SECONDS)
        try:
            with context():
                beat()
        except Exception:
            logger.exception("heartbeat failed")


def _visible(viewer: Viewer, found: Select[Any] = _GAPS) -> Select[Any]:
    return viewer.visible(found, Gap.account_id)


def _listed(found: Select[Any], **values: Any) -> list[ListedGap]:
    return [
        ListedGap(
            id=row.Gap.id,
            ig_account_id=row.ig_account_id,
            account=row.username or row.ig_account_id,
            began_at=row.Gap.began_at,
            ended_at=row.Gap.ended_at,
            causes=tuple(member(GapCause, name) for name in row.Gap.causes),
            state=row.Gap.state,
            run_id=row.Gap.run_id,
            conversations=row.Gap.conversations,
            found=row.Gap.found,
            history=row.Gap.history,
            lost=row.Gap.lost or {},
            closed_at=row.Gap.closed_at,
            dismissed_at=row.Gap.dismissed_at,
            dismissed_by=row.Gap.dismissed_by,
        )
        for row in db.session.execute(found, values)
    ]
