"""What happened to runs since somebody last looked: it began, came to a quarter, failed somebody, ended."""

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
    """What there is to say: `ended` and `heard` are sentences or nothing; `failed` says that somebody failed since."""

    ended: str = ""
    heard: str = ""
    bad: bool = False
    failed: bool = False


def run_state_key(run: Progress) -> str:
    """Return what an onlooker has to remember of a run, as one word."""
    return f"{run.run_id}-{run.quarters}-{run.failed}"


def changes_since(viewer: Viewer, words: Sequence[str], runs: Sequence[Progress]) -> Notification:
    """Return what happened since an onlooker kept `words`; `runs` are the active ones of now."""
    before = {run_id: rest for run_id, _, rest in (word.partition("-") for word in words)}
    ended = [run for run in (_of(viewer, run_id) for run_id in before) if run and not run.active]
    if ended:
        return Notification(ended=" ".join(map(_end, ended)), bad=any(run.state == RunState.FAILED for run in ended))
    heard = [sentence for run in runs if (sentence := _heard(run, before.get(run.run_id)))]
    failed = any(run.run_id in before and before[run.run_id].rpartition("-")[2] != str(run.failed) for run in runs)
    return Notification(heard=" ".join(heard), failed=failed)


def _heard(run: Progress, before: str | None) -> str:
    if before is None:
        return f"{run.title} of {run.account} has started."
    if str(run.quarters) <= before.partition("-")[0]:
        return ""
    return f"{run.title}: {25 * run.quarters}% done, {run.done} of {run.planned}."


def _end(run: Progress) -> str:
    return f"{run.title} {_ENDS.get(run.state, 'finished')}: {run.resolved} resolved, {run.failed} failed."


def _of(viewer: Viewer, run_id: str) -> Progress | None:
    try:
        return progress.get_progress(viewer, run_id)
    except NotFound:
        return None  # an onlooker's words are only what a browser says
