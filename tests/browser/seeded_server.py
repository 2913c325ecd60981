"""A web server on rows for every state of the pages. No worker changes the rows."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from playwright.sync_api import StorageState
from sqlalchemy import delete, insert, or_, update

from app import clock, settings
from app.db import transaction
from app.db.engine import Model
from app.db.types import Secret
from app.factory import create_app
from app.models.account import Account, Login
from app.models.call import ApiCall, Purpose
from app.models.conversation import Conversation, Message
from app.models.identity import Identity, Source, UsernameHistory
from app.models.run import ACTIVE, ItemState, Run, RunItem, RunKind, RunState
from app.models.stats import HourlyStats
from app.models.user import User
from app.users import users
from app.viewer import OPERATOR, Role
from tests.support import databases
from tests.support.processes import Processes

NEWCOMER = "a.newcomer@example.com"  # sees no account yet
EMAIL, PASSWORD = "nadia.kessler@example.com", "a moonlit correct horse"
LUNE, ATELIER = "17841400000000101", "17841400000000202"
UNKNOWN_CONTACT = "17841400998883201"
RUN = "aaaaaaaaaaaa"
ENDED = tuple(letter * 12 for letter in "cdef")
# Contact ID, username, name, minutes ago, unread messages, kind, text.
CONVERSATIONS: tuple[tuple[str, str | None, str | None, int, int, str, str | None], ...] = (
    ("17841400123454417", "lea.moreau", "Léa Moreau", 4, 2, "text", "Oh that’s perfect, thank you! Could you hold it?"),
    (UNKNOWN_CONTACT, None, None, 11, 1, "story_mention", None),
    ("17841400123454418", "tom_hartley", "Tom Hartley", 26, 0, "text", "Brilliant, I’ll pick it up after work then."),
    ("17841400123454419", "amara.okafor", "Amara Okafor", 48, 3, "image", None),
    ("17841400123454420", None, "Camille Roux", 72, 0, "text", "Merci beaucoup, à samedi !"),
    ("17841400123454421", "studio.ines", "Inès Carvalho", 94, 0, "text", "We’d love to — I’ll send over the moodboard"),
    ("17841400123207119", None, None, 130, 1, "story_reply", None),
    ("17841400123454422", "yuki.home", "Yuki Tanaka", 190, 0, "text", "Is the linen cover machine washable?"),
    ("17841400123454423", "bjorn.ek", "Björn Ek", 250, 0, "text", "Order #4471 arrived safely, it’s beautiful"),
    ("17841400123454424", "zanele_d", "Zanele Dlamini", 330, 0, "audio", None),
    ("17841400123454425", "vvanderlust", "Vera van der Lust", 400, 0, "text", "Let me check with the workshop"),
    ("17841400123454426", "fleur.and.co", "Fleur & Co", 1500, 0, "text", "https://example.com/" + "x" * 180),
    ("17841400123512093", None, None, 1600, 0, "unsent", None),
    ("17841400123454427", None, "Dr. Oluwaseun Adebayo-Fitzgerald", 1700, 0, "text", "Thank you so much"),
    *((f"178414001234{5000 + n}", f"visitor.{n}", None, 2000 + n, 0, "text", f"Question {n}") for n in range(24)),
)
HOURS_AGO = {"zanele_d": 20.0, "vvanderlust": 23.5}  # of the contact's newest message: the 24-hour window closes soon
FAILED = (
    (UNKNOWN_CONTACT, "consent", "230", 5),
    ("17841400123207119", "timeout", "timeout", 2),
    ("17841400123512093", "not_visible", "100/33", 3),
    *((f"17841400123{600000 + n}", "timeout", "timeout", 1) for n in range(11)),
)


@dataclass
class SeededServer:
    """A web server on seeded rows."""

    url: str
    signed_in: dict[str, StorageState] = field(default_factory=dict)  # browser profiles by email address

    def job(self, state: RunState | None, **changes: Any) -> None:
        """Show one job in this state, or none; `changes` override columns.

        It was started `minutes` ago and ran for `took` seconds; `paused` is when it continues.
        """
        with transaction.write() as tx:
            tx.execute(delete(Run).where(or_(Run.id == RUN, Run.state.in_(ACTIVE), Run.id.not_in(ENDED))))
            tx.mark_changed(1)
            tx.mark_changed(2)
            if state is None:
                return
            if state in (RunState.RUNNING, RunState.WAITING, RunState.CANCELING):
                _run(tx, "bbbbbbbbbbbb", 2, RunKind.REFRESH, RunState.QUEUED, minutes=0, total=96)
            counts = {"total": 412, "resolved": 223, "fresh": 31, "failed": 14}
            work = {"calls": 120, "cache_hits": 164, "worked_seconds": 67.0}
            _run(tx, RUN, 1, RunKind.BACKFILL, state, **{"minutes": 8} | counts | work | changes)
            places = enumerate(FAILED)
            failed = [_item(place, who, ItemState.FAILED, reason, code) for place, (who, reason, code, _) in places]
            waiting = [_item(900, "17841400123126709", ItemState.PENDING)] if state is not RunState.DONE else []
            tx.execute(insert(RunItem), failed + waiting)


@contextmanager
def serve(processes: Processes, database_url: str, redis_url: str) -> Iterator[SeededServer]:
    """Seed a database and serve it; the app's context is open meanwhile."""
    with settings.using(database_url=database_url, redis_url=redis_url) as chosen:
        processes.share(chosen)
        with databases.app_context_of(create_app()):
            _fill()
            seeded = SeededServer(processes.web().url)
            seeded.job(RunState.RUNNING)
            yield seeded


def _fill() -> None:
    now = clock.now()
    with transaction.write() as tx:
        for number, (ig_id, name) in enumerate(((LUNE, "maison.lune"), (ATELIER, "lune.atelier")), start=1):
            columns = {"login": Login.INSTAGRAM, "own_ids": [], "connected_at": now - timedelta(days=40)}
            tx.session.add(Account(id=number, ig_account_id=ig_id, username=name, token=Secret.hide("t"), **columns))
        tx.session.flush()
        for row in CONVERSATIONS:
            _contact(tx, row, now)
        for who, reason, code, tries in FAILED:
            _failed(tx, who, reason, code, tries, now)
        _lookups(tx, now)
        _history(tx)
        _figures(tx, now)
    users.add_user(OPERATOR, EMAIL, role=Role.ADMIN, password=PASSWORD)
    users.add_user(OPERATOR, NEWCOMER, role=Role.AGENT, password=PASSWORD)
    with transaction.write() as tx:
        tx.execute(update(User).where(User.email == NEWCOMER).values(account_ids=[]))


def _contact(tx: Any, row: tuple[Any, ...], now: datetime) -> None:
    who, username, name, ago, unread, kind, words = row
    at = now - timedelta(minutes=ago)
    learnt = now - timedelta(hours=3)
    known = {"username_at": learnt, "username_source": Source.PROFILE} if username else {}
    known |= {"name_at": learnt, "name_source": Source.PROFILE} if name else {}
    last = {"last_success_at": learnt} if username or name else {}
    met = at - timedelta(days=9)
    incoming_at = now - timedelta(hours=HOURS_AGO[username]) if username in HOURS_AGO else at
    tx.session.add(
        Identity(account_id=1, ig_participant_id=who, username=username, name=name, first_seen_at=met, **known, **last)
    )
    talk = Conversation(
        account_id=1,
        ig_participant_id=who,
        known=bool(username or name),
        unread_count=unread,
        first_message_at=met,
        last_message_at=at,
        last_message_mid=f"m-{who}",
        last_message_kind=kind,
        last_message_preview=words,
        last_message_outgoing=False,
        last_incoming_at=incoming_at,
        needs_reply_since=incoming_at,
    )
    tx.session.add(talk)
    tx.session.flush()
    for place, (said, outgoing) in enumerate((("Hello, is it still there?", False), ("It is!", True), (words, False))):
        newest = place == 2
        tx.session.add(
            Message(
                account_id=1,
                conversation_id=talk.id,
                mid_digest=f"{who}-{place}".encode().ljust(32, b"0")[:32],
                mid=f"m-{who}-{place}",
                ig_sender_id=LUNE if outgoing else who,
                outgoing=outgoing,
                kind=kind if newest else "text",
                text=said,
                sent_at=at if newest else met + timedelta(minutes=place),
            )
        )


def _failed(tx: Any, who: str, reason: str, code: str, tries: int, now: datetime) -> None:
    person = tx.session.query(Identity).filter_by(account_id=1, ig_participant_id=who).one_or_none()
    if person is None:
        person = Identity(account_id=1, ig_participant_id=who, first_seen_at=now - timedelta(days=3))
        tx.session.add(person)
    person.failure_count, person.last_error, person.last_error_code = tries, reason, code
    person.last_failure_at = now - timedelta(hours=3)
    if tries < 5:
        person.next_try_at, person.next_purpose = now + timedelta(hours=2), Purpose.BACKFILL
    person.raw_answer = {"error": {"message": "(#230) User consent is required", "code": 230}}
    renamed = {"old_username": "before.that", "new_username": "after.that", "source": Source.PROFILE, "at": now}
    if who != UNKNOWN_CONTACT:
        tx.session.flush()
        tx.session.add(UsernameHistory(identity_id=person.id, **renamed))
    for hours in range(tries):
        columns = {"http_status": 400, "code": code, "answer": "User consent is required to access this profile"}
        _lookup(tx, now - timedelta(hours=3 + 9 * hours), who=who, took_ms=312, **columns)


def _lookups(tx: Any, now: datetime) -> None:
    purposes = (Purpose.LIVE, Purpose.BACKFILL, Purpose.BACKFILL, Purpose.REFRESH)
    for number in range(138):
        _lookup(tx, now - timedelta(seconds=20 * number + 30), purpose=purposes[number % 4], took_ms=180 + number)
    for number, row in enumerate(CONVERSATIONS[14:]):
        met = now - timedelta(minutes=50 * number + 10)
        tx.execute(update(Identity).where(Identity.ig_participant_id == row[0]).values(first_seen_at=met))
        columns = {"who": row[0], "purpose": Purpose.LIVE, "took_ms": 160 + 37 * (number % 5)}
        _lookup(tx, met + timedelta(milliseconds=40), **columns)
    for hour in range(1, 24):
        for number in range(30 + 7 * (hour % 9)):
            _lookup(tx, now - timedelta(hours=hour, seconds=5 + number * 30), took_ms=200 + 3 * number)


def _lookup(tx: Any, at: datetime, **columns: Any) -> None:
    base = {"call": "profile", "purpose": Purpose.BACKFILL, "http_status": 200, "code": None}
    base |= {"answer": "username, name", "ig_participant_id": columns.pop("who", None)}
    tx.session.add(ApiCall(account_id=1, at=at, **base | columns))


def _figures(tx: Any, now: datetime) -> None:
    this = now.replace(minute=0, second=0, microsecond=0)
    for ago in range(30 * 24):
        short = 26 + ago * 400 // 720
        shown = {"username": 1104 - short, "name": 78, "short_id": short}
        came = {"messages": 40 + ago % 17, "lookups": 2 + ago * 10 // 720}
        tx.session.add(HourlyStats(account_id=1, at=this - timedelta(hours=ago), **shown, **came))


def _history(tx: Any) -> None:
    done = {"total": 187, "resolved": 184, "fresh": 3, "took": 161}
    _run(tx, "cccccccccccc", 1, RunKind.REFRESH, RunState.DONE, minutes=160, **done)
    some = {"total": 793, "resolved": 731, "fresh": 40, "failed": 22, "took": 662}
    _run(tx, "dddddddddddd", 2, RunKind.BACKFILL, RunState.DONE, minutes=300, by="schedule", **some)
    _run(tx, "eeeeeeeeeeee", 1, RunKind.BACKFILL, RunState.CANCELED, minutes=1500, total=50, resolved=50, took=34)
    _run(tx, "ffffffffffff", 1, RunKind.BACKFILL, RunState.FAILED, minutes=4000, total=50, resolved=5, took=34)


def _run(tx: Any, run_id: str, account_id: int, kind: RunKind, state: RunState, **columns: Any) -> None:
    now = clock.now()
    created = now - timedelta(minutes=columns.pop("minutes"))
    took, by, paused = columns.pop("took", None), columns.pop("by", EMAIL), columns.pop("paused", None)
    base: dict[str, Any] = {"batch_size": 10, "started_by": by, "created_at": created}
    if took is not None:
        base["finished_at"] = created + timedelta(seconds=took)
    if paused is not None:
        base["resume_at"] = now + timedelta(minutes=paused)
    if state not in (RunState.QUEUED, RunState.WAITING):
        base |= {"started_at": created, "lease_until": now + timedelta(hours=1), "lease_by": "worker"}
    row: Model = Run(id=run_id, account_id=account_id, kind=kind, state=state, **base | columns)
    tx.session.add(row)
    tx.session.flush()


def _item(
    position: int, who: str, state: ItemState, reason: str | None = None, code: str | None = None
) -> dict[str, Any]:
    return {
        "run_id": RUN,
        "ig_participant_id": who,
        "position": position,
        "state": state,
        "reason": reason,
        "code": code,
        "tries": 1,
    }
