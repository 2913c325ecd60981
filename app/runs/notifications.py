"""Announcements of the jobs page: started, 25/50/75% done, new failures, finished."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.errors import NotFound
from app.models.run import RunState
from app.runs import progress
from app.runs.progress import Progress
from app.viewer import Viewer

_ENDS = {RunState.CANCELED.value: "was canceled", RunState.FAILED.value: "failed"}


@dataclass(frozen=True, slots=True)
class Notification:
    """What to announce: `ended` and `heard` are sentences or empty; `failed` says that more contacts failed."""

    ended: str = ""
    heard: str = ""
    bad: bool = False
    failed: bool = False


def run_state_key(run: Progress) -> str:
    """Return the state of a job that a page keeps to compare later: ID, quarters done and failures."""
    return f"{run.run_id}-{run.quarters}-{run.failed}"


def changes_since(viewer: Viewer, keys: Sequence[str], runs: Sequence[Progress]) -> Notification:
    """Return what happened since a page received `keys`; `runs` are the jobs that are active now."""
    before = {run_id: rest for run_id, _, rest in (key.partition("-") for key in keys)}
    ended = [run for run in (_progress(viewer, run_id) for run_id in before) if run and not run.active]
    if ended:
        return Notification(
            ended=" ".join(map(describe_end, ended)), bad=any(run.state == RunState.FAILED for run in ended)
        )
    heard = [sentence for run in runs if (sentence := _announcement(run, before.get(run.run_id)))]
    failed = any(run.run_id in before and before[run.run_id].rpartition("-")[2] != str(run.failed) for run in runs)
    return Notification(heard=" ".join(heard), failed=failed)


def describe_end(run: Progress) -> str:
    """Return how a job ended, in one sentence."""
    return f"{run.title} {_ENDS.get(run.state, 'finished')}: {run.result}."


def _announcement(run: Progress, before: str | None) -> str:
    if before is None:
        return f"{run.title} started for {run.account}."
    if str(run.quarters) <= before.partition("-")[0]:
        return ""
    if run.syncs:
        return f"{run.title}: {run.result}."
    return f"{run.title}: {25 * run.quarters}% done, {run.done} of {run.planned}."


def _progress(viewer: Viewer, run_id: str) -> Progress | None:
    try:
        return progress.get_progress(viewer, run_id)
    except NotFound:
        return None  # keys come from a browser and may be anything
