"""Call refusals: Meta refuses one kind of call of an account, whichever contact it is about.

Each is a row, so that it survives Redis and is shown to users. While it lasts, only an occasional probe makes such a
call, contacts get no failure, and other accounts are not affected. The first different response ends the refusal.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile

from sqlalchemy import ColumnElement, func, or_, select, update

from app import clock
from app.calls import budget
from app.calls.call_log import Call
from app.db import transaction
from app.db.engine import db
from app.db.transaction import Tx
from app.errors import CallsRefused
from app.instagram.errors import AMBIGUOUS, GraphAPIError, Reason, Scope
from app.models.call import ApiCall, CallRefusal

logger = logging.getLogger(__name__)

FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=5), timedelta(hours=1)
PROBE = timedelta(seconds=10)  # how long other calls wait for the probe
WAVE = 5  # so many contacts in a row with the same new error: an outage
WAVE_WITHIN, REMEMBERED = timedelta(hours=1), timedelta(days=7)
WAVE_ENDS = timedelta(days=1)  # after this the error counts for each contact
SHOWN_AFTERWARDS = timedelta(days=1)
NEWEST_LOOKUPS = 50
_AMBIGUOUS_CODE = "/".join(map(str, AMBIGUOUS))
_OUTAGE = (
    "Meta gives the same error for every contact, most likely an outage; lookups resume automatically,"
    " reconnect the account if it lasts"
)
_WHAT = {
    budget.PROFILE: ("Names can't be looked up", "Names can be looked up again"),
    budget.CONVERSATIONS: ("Conversations can't be synced", "Conversations can be synced again"),
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal as shown to users; times are aware UTC, `ended_at` is None while it lasts.

    `widespread` means that other accounts get the same error.
    """

    call: str
    sentence: str
    since: datetime
    retry_at: datetime
    ended_at: datetime | None
    widespread: bool

    @property
    def says(self) -> str:
        """The refusal as text without the final full stop: the state first, then what to do."""
        now, again = _WHAT[self.call]
        if self.ended_at is not None:
            return f"{again} since {self.ended_at:%H:%M} UTC"
        cause = "Several accounts get this error: " if self.widespread else ""
        return f"{now} since {self.since:%H:%M} UTC. {cause}{self.sentence}"


def check(call: Call) -> bool:
    """Return whether this call is the probe of a refusal; raise CallsRefused while no such call may be made."""
    of_call = _rows(call.account_id, call.name)
    row = db.session.execute(select(CallRefusal.retry_at, CallRefusal.sentence).where(*of_call)).first()
    if row is None:
        return False
    now = clock.now()
    if row.retry_at <= now:
        probe = update(CallRefusal).where(*of_call, CallRefusal.retry_at == row.retry_at)
        with transaction.write() as tx:
            if tx.execute(probe.values(retry_at=now + PROBE)).rowcount:
                return True
    raise CallsRefused(row.sentence, max(row.retry_at, now + PROBE))


def record_failure(call: Call, failure: GraphAPIError) -> GraphAPIError | None:
    """Record a failed call that means a refusal; return it as a failure of the account, None for any other failure.

    `contacts` of the returned failure got the same error before Nametag recognized the outage.
    """
    if failure.scope is Scope.ACCOUNT and failure.reason is Reason.PERMISSION:
        return _store_refusal(call, failure, failure.sentence)
    if call.name != budget.PROFILE or not (failure.scope is Scope.CONTRACT or failure.code == _AMBIGUOUS_CODE):
        return None
    known = db.session.execute(
        select(CallRefusal.since, CallRefusal.code, CallRefusal.wave).where(*_rows(call.account_id, call.name))
    ).first()
    if known is not None and (known.code != failure.code or not known.wave or known.since < clock.now() - WAVE_ENDS):
        return None
    contacts = _wave(call, failure.code)
    if known is None and len(contacts) < WAVE:
        return None
    return _store_refusal(call, failure, _OUTAGE, contacts)


def record_success(call: Call) -> None:
    """End the refusal of this call, whose probe got a different response."""
    with transaction.write() as tx:
        refusal = update(CallRefusal).where(*_rows(call.account_id, call.name)).values(ended_at=clock.now())
        if not tx.execute(refusal).rowcount:  # another process ended it
            return
        tx.mark_changed(call.account_id)
    logger.warning("calls resumed: Meta no longer refuses them", extra={"account": call.account_id, "call": call.name})


def retry_now(tx: Tx, account_id: int) -> None:
    """Probe every refused call of an account at the next opportunity, because something changed at Meta."""
    lasting = update(CallRefusal).where(CallRefusal.account_id == account_id, CallRefusal.ended_at.is_(None))
    tx.execute(lasting.values(retry_at=clock.now()))


def by_account() -> dict[int, list[Refusal]]:
    """Return current and recently ended refusals by account ID (of Nametag)."""
    recently = CallRefusal.ended_at > clock.now() - SHOWN_AFTERWARDS
    rows = db.session.scalars(select(CallRefusal).where(or_(CallRefusal.ended_at.is_(None), recently))).all()
    found: dict[int, list[Refusal]] = {}
    for row in rows:
        same = [each for each in rows if (each.call, each.code, each.ended_at) == (row.call, row.code, None)]
        facts = (row.call, row.sentence, row.since, row.retry_at, row.ended_at)
        found.setdefault(row.account_id, []).append(Refusal(*facts, widespread=len(same) > 1))
    return found


def _rows(account_id: int, call: str) -> tuple[ColumnElement[bool], ...]:
    return CallRefusal.account_id == account_id, CallRefusal.call == call, CallRefusal.ended_at.is_(None)


def _store_refusal(
    call: Call, failure: GraphAPIError, sentence: str, contacts: frozenset[str] | None = None
) -> GraphAPIError:
    now = clock.now()
    with transaction.write() as tx:
        row = tx.session.get(CallRefusal, (call.account_id, call.name))
        if row is None:
            row = CallRefusal(account_id=call.account_id, call=call.name)
            tx.session.add(row)
        if row.since is None or row.ended_at is not None:
            row.since, row.ended_at = now, None
            tx.mark_changed(call.account_id)
            logger.warning("calls refused by Meta", extra={"account": call.account_id, "code": failure.code})
        row.code, row.sentence, row.wave = failure.code, sentence, contacts is not None
        row.retry_at = retry_at = now + min(max(now - row.since, FIRST_WAIT), LONGEST_WAIT)
    refused = GraphAPIError(
        Scope.ACCOUNT,
        Reason.PERMISSION if contacts is None else Reason.TEMPORARY,
        failure.code,
        sentence,
        http_status=failure.http_status,
        retry_at=retry_at,
        usage=failure.usage,
    )
    refused.contacts = contacts or frozenset()
    return refused


def _wave(call: Call, code: str) -> frozenset[str]:
    """Return the contacts of the newest consecutive lookups with this error, without those that had it before."""
    of_call = (ApiCall.account_id == call.account_id, ApiCall.call == call.name)
    recent = select(ApiCall.ig_participant_id, ApiCall.code, ApiCall.at).where(
        *of_call, ApiCall.took_ms.is_not(None), ApiCall.at > clock.now() - WAVE_WITHIN
    )
    newest = db.session.execute(recent.order_by(ApiCall.at.desc(), ApiCall.id.desc()).limit(NEWEST_LOOKUPS)).all()
    run = list(takewhile(lambda row: row.code == code, newest))
    contacts = frozenset(row.ig_participant_id for row in run)
    if len(contacts) < WAVE:
        return contacts
    before = select(func.distinct(ApiCall.ig_participant_id)).where(
        *of_call, ApiCall.code == code, ApiCall.at < run[-1].at, ApiCall.at > clock.now() - REMEMBERED
    )
    return contacts - frozenset(db.session.scalars(before.where(ApiCall.ig_participant_id.in_(contacts))))
