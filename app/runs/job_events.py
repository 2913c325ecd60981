"""Report to alert receivers that jobs finished or were paused. The scheduler looks for them every few seconds."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from app import clock
from app.alerts import outbox
from app.alerts.outbox import Event
from app.models.alert import AlertEvent
from app.models.run import RunScope, RunState
from app.runs import notifications, progress
from app.runs.failures import NEWEST_JOBS
from app.runs.progress import Progress
from app.viewer import SCHEDULE

NEWS = timedelta(days=1)  # later than that, the end of a job is no news


def record() -> None:
    """Queue what has happened to jobs that users and API clients started, for the receivers that want it."""
    if outbox.wanted(AlertEvent.JOB_FINISHED, AlertEvent.JOB_PAUSED):
        outbox.add_missing([*_events(clock.now() - NEWS)])


def _events(since: datetime) -> Iterator[Event]:
    for run in progress.history(SCHEDULE, limit=NEWEST_JOBS):
        if run.finished_at is not None and run.finished_at > since and run.scope is not RunScope.EXPIRING:
            sentence = notifications.describe_end(run)
            yield _event(AlertEvent.JOB_FINISHED, run, run.finished_at, sentence)
    for run in progress.active_runs(SCHEDULE):
        if run.state == RunState.PAUSED and run.paused_at is not None and run.paused_at > since:
            done = run.result if run.syncs else f"{run.done} of {run.planned} contacts are done"
            sentence = f"{run.title} was paused: {done}."
            yield _event(AlertEvent.JOB_PAUSED, run, run.paused_at, sentence)


def _event(event: AlertEvent, run: Progress, at: datetime, sentence: str) -> Event:
    facts: dict[str, Any] = {
        "jobId": run.run_id,
        "kind": run.kind.value,
        "state": run.state,
        "accountId": run.ig_account_id,
        "text": sentence,
        "total": run.total,
        "resolved": run.resolved,
        "alreadyFresh": run.fresh,
        "failed": run.failed,
        "skipped": run.skipped,
    }
    return Event(event, f"{event} {run.run_id} {clock.microseconds(at)}", facts, run.account_id, at)
