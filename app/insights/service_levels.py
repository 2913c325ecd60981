"""Service levels of naming: how many new contacts get their name in time, and whether the mix of reasons moves.

A new contact wrote for the first time. One who can't be named for a lasting reason, such as no profile consent, does
not count.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, or_, select

from app import clock
from app.calls import budget
from app.db.engine import db
from app.db.planning import planned_for_values
from app.identities import observations
from app.identities.failure_policy import LASTING_REASONS
from app.insights import charts
from app.instagram import errors
from app.labels import label
from app.models.call import ApiCall
from app.models.contact import same_contact
from app.models.conversation import Conversation
from app.models.identity import Identity

PERIOD = timedelta(days=30)  # of the service levels on Insights
RECENT = timedelta(days=1)  # of alerts
LEAST_CONTACTS = 20  # fewer say nothing
USUAL = timedelta(days=14)
MOVED = 2  # times the usual share of a reason
RECOUNT = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class ServiceLevel:
    """How many of `contacts` were named within `limit`, and how many must be, in percent."""

    limit: timedelta
    target_percent: int
    contacts: int
    in_time: int

    @property
    def limit_words(self) -> str:
        """The limit in words: 500 ms, 1 h."""
        hours = self.limit // timedelta(hours=1)
        return f"{hours} h" if hours else f"{self.limit // timedelta(milliseconds=1)} ms"

    @property
    def percent(self) -> float | None:
        """The share that was named in time, None without contacts."""
        return 100 * self.in_time / self.contacts if self.contacts else None

    @property
    def allowance_left(self) -> int | None:
        """The percentage of contacts that may still be late which is left, from 0 to 100; None without contacts."""
        allowed = self.contacts * (100 - self.target_percent) / 100
        if not allowed:
            return None
        return max(0, round(100 * (1 - (self.contacts - self.in_time) / allowed)))

    @property
    def says(self) -> str:
        """The result in words: 91.2% within 500 ms, target 95%."""
        return f"{self.percent or 0:.1f}% of {self.contacts} within {self.limit_words}, target {self.target_percent}%"

    @property
    def missed(self) -> bool:
        """Whether fewer than the target were named in time, of enough contacts to say so."""
        late = self.contacts - self.in_time
        return self.contacts >= LEAST_CONTACTS and 100 * late > self.contacts * (100 - self.target_percent)


LEVELS = ((timedelta(milliseconds=500), 95), (timedelta(hours=1), 99))
Counts = Sequence[Sequence[int]]  # for each of LEVELS: new contacts, and how many of them were named in time


def service_levels(account_id: int, since: datetime) -> tuple[ServiceLevel, ...]:
    """Return the service levels for contacts of an account who first wrote since then (aware UTC)."""
    return of_counts([count(account_id, since)])


def of_counts(counts: Iterable[Counts]) -> tuple[ServiceLevel, ...]:
    """Return the service levels of accounts with these counts."""
    by_level = zip(*counts, strict=True)
    sums = [[sum(numbers) for numbers in zip(*level, strict=True)] for level in by_level]
    return tuple(
        ServiceLevel(limit, target, contacts, in_time)
        for (limit, target), (contacts, in_time) in zip(LEVELS, sums, strict=True)
    )


@planned_for_values()
def count(account_id: int, since: datetime | None = None) -> Counts:
    """Count the contacts of an account who first wrote since then (aware UTC), in the last 30 days without it.

    Reads a row of each: a tenth of a second for 20,000 of them.
    """
    now = clock.now()
    since = since or now - PERIOD
    named = [waited for _, waited in charts.first_lookups([account_id], since, Identity.has_name)]
    unnamed = _unnamed(account_id, since)
    return [
        [len(named) + sum(at < now - limit for at in unnamed), sum(waited <= limit for waited in named)]
        for limit, _ in LEVELS
    ]


@dataclass(frozen=True, slots=True)
class MovedReason:
    """A reason for failed lookups whose share of the contacts has at least doubled, in percent."""

    reason: str
    contacts: int
    percent: float
    usual_percent: float


# Of this process, by account: when the usual mix of reasons was counted, and the mix. Counting reads 14 days of calls.
_usual: dict[int, tuple[datetime, Counter[str]]] = {}


def moved_reasons(account_id: int) -> list[MovedReason]:
    """Return the reasons whose share of the last day is at least twice that of the 14 days before.

    Shares are of the contacts that were looked up; a reason counts from 20 contacts on.
    """
    now = clock.now()
    recent = _mix(account_id, now - RECENT, now)
    if not any(reason and number >= LEAST_CONTACTS for reason, number in recent.items()):
        return []
    counted_at, usual = _usual.get(account_id, (None, Counter[str]()))
    if counted_at is None or not now - RECOUNT < counted_at <= now:
        usual = _mix(account_id, now - RECENT - USUAL, now - RECENT)
        _usual[account_id] = now, usual
    if usual.total() < LEAST_CONTACTS:
        return []  # a new account has no usual mix
    shares = [
        MovedReason(reason, number, 100 * number / recent.total(), 100 * usual[reason] / usual.total())
        for reason, number in recent.most_common()
        if reason and number >= LEAST_CONTACTS
    ]
    return [each for each in shares if each.percent >= MOVED * each.usual_percent]


def _mix(account_id: int, since: datetime, until: datetime) -> Counter[str]:
    """Return how many contacts were looked up, by the label of the reason why it failed; "" for success."""
    contacts = func.count(ApiCall.ig_participant_id.distinct())
    found = select(ApiCall.code, contacts).where(
        *(ApiCall.account_id == account_id, ApiCall.at > since, ApiCall.at <= until),
        *(ApiCall.call == budget.PROFILE, or_(ApiCall.code.is_not(None), ApiCall.took_ms.is_not(None))),
    )
    mix = Counter[str]()
    for code, number in db.session.execute(found.group_by(ApiCall.code)):
        mix["" if code is None else label(errors.reason_from_code(code))] += number
    return mix


def _unnamed(account_id: int, since: datetime) -> list[datetime]:
    """Return when each new contact first wrote who has no name yet and could have one."""
    found = (
        select(Identity.first_seen_at, Conversation.first_message_at)
        .join(Conversation, same_contact(Identity, Conversation))
        .where(
            *(Conversation.account_id == account_id, ~Conversation.known, Conversation.last_message_at >= since),
            *(Identity.first_seen_at >= since, ~Identity.has_name, _can_be_named()),
        )
        .limit(charts.MAX_CALLS)
    )
    return [
        row.first_seen_at
        for row in db.session.execute(found)
        if row.first_message_at > row.first_seen_at - observations.LIVE
    ]


def _can_be_named() -> ColumnElement[bool]:
    return or_(Identity.last_error.is_(None), Identity.last_error.not_in(sorted(LASTING_REASONS)))
