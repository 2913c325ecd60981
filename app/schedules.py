"""Schedules: the duties of the scheduler that users follow, run now and switch off. The only table of them.

A schedule is off for all accounts (its row of `scheduler_duties`), or for single ones (`accounts/schedules_off.py`).
"""

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from sqlalchemy import Row, func, select, update

from app import audit, clock, heartbeats, queue, read_state, tombstones
from app.accounts import listing, schedules_off, subscriptions, tokens
from app.accounts.listing import ListedAccount
from app.accounts.schedules_off import AccountOff
from app.alerts import lifecycle as alerts
from app.alerts import outbox, receivers
from app.clock import rfc3339
from app.db import transaction
from app.db.engine import db
from app.db.transaction import Tx
from app.errors import Conflict, Forbidden, Invalid, NotFound
from app.identities import account_pictures, avatars
from app.ingest import dead_letters, pending_updates, sync
from app.insights import arrivals, hourly_stats
from app.models.audit import Action
from app.models.process import SchedulerDuty
from app.models.run import Run
from app.runs import duties, gap_reports, lifecycle, retention, sync_job
from app.runs.duties import DutyOutcome
from app.text import clean_name, plural
from app.users import sessions
from app.viewer import SCHEDULE, Role, Viewer

logger = logging.getLogger(__name__)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LATE_PERIODS = 2
LEAST_LATE = timedelta(minutes=1)  # for short periods: several slow calls are not late
SKIP_SHOWN = timedelta(days=1)
OFF_REASON_CHARACTERS = 200  # of why a schedule is off
NOUNS = {"accounts": "account", "contacts": "contact", "calls": "call", "tokens": "access token", "records": "record"}
DEAD = "No scheduler has reported for 30 seconds, so every schedule is late."


class ScheduleState(StrEnum):
    """State of a schedule. With NEVER it has not run yet, with LATE for more than two periods, or no scheduler runs."""

    ON = "on"
    OFF = "off"
    RUNNING = "running"
    LATE = "late"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Schedule:
    """A duty that users know: it does what `description` says every `every`.

    One with `kept_on`, the reason, cannot be switched off; switching off one with `warning` must be confirmed.
    `at_first`: a new installation runs it immediately. `slow`: it may call Meta or change many rows. With `per_account`
    it can be off for single accounts: `duty` takes their row IDs.
    """

    name: str
    title: str
    description: str
    every: timedelta
    duty: Callable[..., DutyOutcome]
    per_account: bool = True
    kept_on: str | None = None
    warning: str | None = None
    at_first: bool = True
    slow: bool = False

    @property
    def period(self) -> str:
        """The period in words: every hour."""
        known = {HOUR: "every hour", DAY: "every day"}
        return known.get(self.every) or f"every {self.every.total_seconds():.0f} seconds"


@dataclass(frozen=True, slots=True)
class ListedSchedule:
    """A schedule and what its row says. Times are aware UTC; `next_at` is in the past when it is due.

    `result` and `skipped_why` are None for viewers who do not see every account. `off_accounts` are the accounts that
    the viewer sees and for which it is off.
    """

    schedule: Schedule
    state: ScheduleState
    last_at: datetime | None = None
    result: Mapping[str, int] | None = None
    next_at: datetime | None = None
    skipped_at: datetime | None = None
    skipped_why: str | None = None
    off_at: datetime | None = None
    off_by: str | None = None
    off_reason: str | None = None
    off_accounts: tuple[AccountOff, ...] = ()
    running_since: datetime | None = None
    requested_at: datetime | None = None

    @property
    def did(self) -> str | None:
        """What the last run did: 84 contacts, 6 calls."""
        if self.result is None:
            return None
        numbers = {NOUNS[name]: number for name, number in self.result.items() if name in NOUNS}
        words = [plural(number, noun, thousands=",") for noun, number in numbers.items() if number]
        return ", ".join(words) or "nothing to do"

    @property
    def skip(self) -> str | None:
        """Why it was skipped within the last day."""
        recent = self.skipped_at is not None and self.skipped_at > clock.now() - SKIP_SHOWN
        return self.skipped_why if recent else None

    @property
    def busy(self) -> bool:
        """Whether it runs now or is about to, because a user requested it."""
        return self.state is ScheduleState.RUNNING or self.requested_at is not None


def reconcile(off: Collection[int] = ()) -> DutyOutcome:
    """Enqueue a sync of every connected account without a job that syncs, to store messages whose webhook was lost."""
    left_out = {*sync_job.active_accounts(), *off}
    accounts = [account_id for account_id in sync.connected_accounts() if account_id not in left_out]
    for account_id in accounts:
        queue.enqueue_once(queue.SYNC, account_id)
    return DutyOutcome({"accounts": len(accounts)})


def refresh_tokens(off: Collection[int] = ()) -> DutyOutcome:
    """Refresh the access tokens that are due."""
    return DutyOutcome({"tokens": tokens.refresh_due(off)})


def check_subscriptions(off: Collection[int] = ()) -> DutyOutcome:
    """Check the webhook subscription of every connected account."""
    return DutyOutcome({"accounts": subscriptions.check_all(off)})


def fetch_pictures(off: Collection[int] = ()) -> DutyOutcome:
    """Enqueue downloads of new profile pictures."""
    accounts = {*avatars.accounts_with_pending(), *account_pictures.accounts_due()} - {*off}
    for account_id in accounts:
        queue.enqueue_once(queue.AVATARS, account_id)
    return DutyOutcome({"accounts": len(accounts)})


def purge() -> DutyOutcome:
    """Delete expired records: pending updates, dead letters, tombstones, audit entries, sessions, items of jobs …"""
    now = clock.now()
    with transaction.write() as tx:
        gone = {
            "effects": pending_updates.purge(tx, now),
            "dead_letters": dead_letters.purge(tx, now),
            "audit_entries": audit.purge(tx, now),
            "deleted_events": tombstones.purge(tx, now),
            "ended_sessions": sessions.purge(tx, now),
            "unread_by_user": read_state.purge(tx, now),
            "alerts": alerts.purge(tx, now),
            "alert_deliveries": outbox.purge(tx, now),
            "old_secrets": receivers.purge(tx, now),
        }
        hourly_stats.purge(tx, now)
        arrivals.purge(tx, now)
    gone |= {"items_of_jobs": retention.purge(), "gaps": gap_reports.purge()}
    if any(gone.values()):
        logger.info("purged expired records", extra=gone)
    return DutyOutcome({"records": sum(gone.values())})


SCHEDULES = (
    Schedule(
        "conversation-sync",
        "Conversation sync",
        "Fetches messages whose webhook was lost, of every connected account.",
        HOUR,
        reconcile,
        at_first=False,
    ),
    Schedule(
        "daily-refresh",
        "Daily refresh",
        "Looks up contacts whose name expires within a day, or whose picture has expired. Uses at most half of the "
        "hour’s API calls.",
        HOUR,
        lifecycle.refresh_expiring,
        at_first=False,
        slow=True,
    ),
    Schedule(
        schedules_off.REFRESHES_TOKENS,
        "Token refresh",
        "Refreshes the access tokens of Instagram Login once a week.",
        HOUR,
        refresh_tokens,
        warning="Access tokens of Instagram Login end after 60 days without a refresh. Then no names are looked up "
        "until the account is reconnected.",
        slow=True,
    ),
    Schedule(
        "subscription-check",
        "Subscription check",
        "Checks the webhook fields of every connected account, and subscribes missing ones.",
        DAY,
        check_subscriptions,
        slow=True,
    ),
    Schedule(
        "purge",
        "Purge of expired records",
        "Deletes what is stored for a limited time, such as dead letters and audit entries.",
        HOUR,
        purge,
        per_account=False,
        kept_on="Records must not be stored longer than documented.",
        at_first=False,
        slow=True,
    ),
    Schedule(
        "pictures",
        "Pictures",
        "Lets the workers download new profile pictures.",
        timedelta(seconds=10),
        fetch_pictures,
    ),
)
BY_NAME: Mapping[str, Schedule] = MappingProxyType({each.name: each for each in SCHEDULES})


def perform(schedule: Schedule) -> DutyOutcome:
    """Do the work of a schedule. The outcome says for which accounts it is off."""
    if not schedule.per_account:
        return schedule.duty()
    off = schedules_off.by_schedule(SCHEDULE).get(schedule.name, ())
    outcome = schedule.duty([each.id for each in off])
    return replace(outcome, skipped=_skipped(outcome.skipped, off)) if off else outcome


def may_change(viewer: Viewer) -> bool:
    """Return whether the viewer may run schedules now, and switch them off for all accounts."""
    return viewer.may(Role.OPS) and viewer.sees_all


def list_schedules(viewer: Viewer) -> list[ListedSchedule]:
    """Return every schedule; for ops and API tokens. See `heartbeats.scheduler_runs` for whether a scheduler runs."""
    if viewer.token_id is None:  # a token with the scope "read" has no role that allows changes
        viewer.require(Role.OPS)
    runs = heartbeats.scheduler_runs()
    found = db.session.execute(select(SchedulerDuty, duties.is_running(clock.now()).label("running")))
    rows = {row.SchedulerDuty.name: row for row in found}
    off = schedules_off.by_schedule(viewer)
    listed = [_listed(each, rows.get(each.name), runs=runs, shown=viewer.sees_all) for each in SCHEDULES]
    return [replace(each, off_accounts=off.get(each.schedule.name, ())) for each in listed]


def get_schedule(viewer: Viewer, name: str) -> ListedSchedule:
    """Return one schedule; raises NotFound."""
    for each in list_schedules(viewer):
        if each.schedule.name == name:
            return each
    raise NotFound("schedule")


def run_now(viewer: Viewer, name: str) -> None:
    """Request a run, also of a schedule that is off: a scheduler starts it within seconds.

    Raises NotFound, Forbidden, and Conflict while it runs or is requested.
    """
    schedule, _ = _require(viewer, name, None)
    idle = (~duties.is_running(clock.now()), SchedulerDuty.requested_at.is_(None))
    with transaction.write() as tx:
        if not _change(tx, schedule, *idle, requested_at=clock.now()):
            raise Conflict(f"{schedule.title} runs already. Nothing was changed. See its result when it has ended.")
        audit.note(tx, viewer, Action.SCHEDULE_RUN, f"schedule {name}")


def switch_off(viewer: Viewer, name: str, *, ig_account_id: str | None = None, reason: str | None = None) -> None:
    """Switch a schedule off for all accounts or one, until a user switches it on; `reason` is shown to users.

    Raises NotFound, Forbidden, Conflict, and Invalid for a long reason.
    """
    schedule, account = _require(viewer, name, ig_account_id)
    if schedule.kept_on:
        raise Conflict(f"{schedule.title} can’t be switched off. {schedule.kept_on}")
    why = clean_name(reason, OFF_REASON_CHARACTERS + 1)
    if why and len(why) > OFF_REASON_CHARACTERS:
        raise Invalid({"reason": f"Enter at most {OFF_REASON_CHARACTERS} characters."})
    with transaction.write() as tx:
        if account:
            done = schedules_off.switch_off(tx, name, account.id, off_by=viewer.name, reason=why)
        else:
            is_on = SchedulerDuty.off_at.is_(None)
            done = _change(tx, schedule, is_on, off_at=clock.now(), off_by=viewer.name, off_reason=why)
        if not done:
            raise Conflict(f"{schedule.title} is off{_of(account)} already. Nothing was changed.")
        audit.note(tx, viewer, Action.SCHEDULE_OFF, f"schedule {name}", account_id=account.id if account else None)


def switch_on(viewer: Viewer, name: str, *, ig_account_id: str | None = None) -> None:
    """Switch a schedule on again, for all accounts or one. One that is due runs within seconds.

    For all accounts, it stays off for those for which it was switched off. Raises NotFound, Forbidden, Conflict.
    """
    schedule, account = _require(viewer, name, ig_account_id)
    with transaction.write() as tx:
        if account:
            done = schedules_off.switch_on(tx, name, account.id)
        else:
            is_off = SchedulerDuty.off_at.is_not(None)
            done = _change(tx, schedule, is_off, off_at=None, off_by=None, off_reason=None)
        if not done:
            raise Conflict(f"{schedule.title} is on{_of(account)} already. Nothing was changed.")
        audit.note(tx, viewer, Action.SCHEDULE_ON, f"schedule {name}", account_id=account.id if account else None)


def as_dict(listed: ListedSchedule) -> dict[str, Any]:
    """Return a schedule with the field names of the API."""
    schedule = listed.schedule
    return {
        "name": schedule.name,
        "title": schedule.title,
        "description": schedule.description,
        "everySeconds": round(schedule.every.total_seconds()),
        "state": listed.state.value,
        "lastAt": rfc3339(listed.last_at),
        "result": None if listed.result is None else dict(listed.result),
        "nextAt": rfc3339(listed.next_at),
        "skippedAt": rfc3339(listed.skipped_at),
        "skippedWhy": listed.skipped_why,
        "offAt": rfc3339(listed.off_at),
        "offBy": listed.off_by,
        "offReason": listed.off_reason,
        "offAccounts": [
            {
                "accountId": each.ig_account_id,
                "offAt": rfc3339(each.off_at),
                "offBy": each.off_by,
                "offReason": each.off_reason,
            }
            for each in listed.off_accounts
        ],
        "runningSince": rfc3339(listed.running_since),
        "requestedAt": rfc3339(listed.requested_at),
        "canSwitchOff": schedule.kept_on is None,
    }


def _require(viewer: Viewer, name: str, ig_account_id: str | None) -> tuple[Schedule, ListedAccount | None]:
    viewer.require(Role.OPS)
    if ig_account_id is None and not may_change(viewer):
        raise Forbidden("Schedules concern every account, and you see only some. Ask an admin.")
    schedule = BY_NAME.get(name)
    if schedule is None:
        raise NotFound("schedule")
    if ig_account_id is None:
        return schedule, None
    account = listing.by_ig_id(viewer, ig_account_id)
    if not schedule.per_account:
        raise Conflict(f"{schedule.title} concerns all accounts together. Nothing was changed.")
    return schedule, account


def _of(account: ListedAccount | None) -> str:
    return f" for {account.name}" if account else ""


def _skipped(other: str | None, off: Collection[AccountOff]) -> str:
    which = next(iter(off)).account if len(off) == 1 else plural(len(off), "account")
    return f"{other}. Off for {which}" if other else f"Off for {which}"


def _change(tx: Tx, schedule: Schedule, *conditions: Any, **values: object) -> bool:
    duties.add(tx, schedule.name, schedule.every, at_first=schedule.at_first)
    row = update(SchedulerDuty).where(SchedulerDuty.name == schedule.name, *conditions)
    return bool(tx.execute(row.values(**values)).rowcount)


def _listed(schedule: Schedule, found: Row[SchedulerDuty, bool] | None, *, runs: bool, shown: bool) -> ListedSchedule:
    if found is None:
        return ListedSchedule(schedule, ScheduleState.NEVER if runs else ScheduleState.LATE)
    row, running = found
    return ListedSchedule(
        schedule,
        _state(schedule, row, runs=runs, running=running),
        last_at=row.last_at,
        result=_numbers(row.result) if shown and row.result is not None else None,
        next_at=row.requested_at or (None if row.off_at else row.last_run_at + schedule.every),
        skipped_at=row.skipped_at if shown else None,
        skipped_why=row.skipped_why if shown else None,
        off_at=row.off_at,
        off_by=row.off_by,
        off_reason=row.off_reason,
        running_since=row.running_since if running else None,
        requested_at=row.requested_at,
    )


def _state(schedule: Schedule, row: SchedulerDuty, *, runs: bool, running: bool) -> ScheduleState:
    if running:
        return ScheduleState.RUNNING
    if row.off_at:
        return ScheduleState.OFF
    if not runs or clock.now() - row.last_run_at > max(LATE_PERIODS * schedule.every, LEAST_LATE):
        return ScheduleState.LATE
    return ScheduleState.NEVER if row.last_at is None and row.skipped_at is None else ScheduleState.ON


def _numbers(result: Mapping[str, Any]) -> dict[str, int]:
    """Return the numbers of a result; those of jobs are what the jobs have come to by now."""
    if "jobs" not in result:
        return {name: number for name, number in result.items() if isinstance(number, int)}
    sums = (func.sum(Run.total - Run.skipped), func.sum(Run.calls))
    contacts, calls = db.session.execute(select(*sums).where(Run.id.in_(result["jobs"]))).one()
    return {"contacts": int(contacts or 0), "calls": int(calls or 0)}
