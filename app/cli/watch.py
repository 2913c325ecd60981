"""Follow a job in a terminal: a progress bar with the estimated time left, then the result."""

import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import click

from app import clock
from app.cli import output
from app.runs import failures, progress
from app.runs.progress import Progress
from app.viewer import OPERATOR

POLL_SECONDS = 0.25
FAILED_STATES = ("failed", "canceled")


def until_ended(run_id: str, *, as_json: bool = False) -> int:
    """Show the progress of a job until it has ended, then its result. Return the exit status.

    The progress goes to standard error; with `as_json` standard output is one JSON document. Ctrl-C stops following,
    not the job, also in a command that was started in the background. Raises NotFound.
    """
    try:
        with _interruptible():
            run = _followed(run_id)
    except KeyboardInterrupt:
        click.echo(f"\nThe job is still running. To follow it: nametag jobs show {run_id} --wait", err=True)
        return output.FAILED
    if as_json:
        output.show(progress.as_dict(run))
    else:
        _print_result(run)
    return output.FAILED if run.state in FAILED_STATES else 0


def length(seconds: float) -> str:
    """Return an estimated duration in its two largest units: about 40 s, about 12 min, about 1 h 05 min."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    return f"about {minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"about {minutes} min"


@contextmanager
def _interruptible() -> Iterator[None]:
    # A shell starts background commands with SIGINT ignored, and Python then raises no KeyboardInterrupt.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _followed(run_id: str) -> Progress:
    run = progress.get_current_progress(OPERATOR, run_id)
    with click.progressbar(
        length=run.planned, label=run.title, file=sys.stderr, show_pos=True, show_eta=False, item_show_func=_state
    ) as bar:
        while run.active:
            bar.length = run.planned  # of a sync, an estimate
            bar.update(run.done - bar.pos, run)
            bar.render_progress()
            clock.sleep(POLL_SECONDS)
            run = progress.get_current_progress(OPERATOR, run_id)
        bar.update(run.done - bar.pos, run)
    return run


def _state(run: Progress | None) -> str | None:
    if run is None:
        return None
    if run.reconnect:
        return f"waiting for a working access token: reconnect {run.account}"
    state = run.state.replace("_", " ")
    paused = f" until {run.resume_at:%H:%M} UTC" if run.resume_at and run.state == "waiting" else ""
    left = f", {length(run.seconds_left)} left" if run.seconds_left is not None and run.active else ""
    return f"{state}{paused}{left}"


def _print_result(run: Progress) -> None:
    if run.syncs:
        _print_sync(run)
        return
    reasons = Counter(each.what_happened for each in failures.failed_contacts(OPERATOR, run.run_id))
    result = (
        *(("total", run.total), ("resolved", run.resolved), ("already fresh", run.fresh), ("failed", run.failed)),
        *((f"  {reason[:1].lower()}{reason[1:]}", number) for reason, number in reasons.most_common()),
        *(("skipped", run.skipped), ("API calls", run.calls), ("from the cache", run.cache_hits)),
        ("duration", f"{run.took_seconds:.0f} s" if run.took_seconds is not None else None),
    )
    output.say(f"{run.title}: {run.state.replace('_', ' ')}")
    output.facts(result)


def _print_sync(run: Progress) -> None:
    output.say(f"{run.title}: {run.state.replace('_', ' ')}. {run.result}.")
    seconds = f"{run.took_seconds:.0f} s" if run.took_seconds is not None else None
    output.facts((("reason", run.reason), ("API calls", run.calls), ("duration", seconds)))
