"""Errors that end a request, a command or a task. Web, API and CLI each translate them in one place.

NametagError
├── NotFound          it does not exist, or the viewer may not see it
├── Invalid           wrong fields, which the caller can correct
├── Forbidden         the viewer's role does not allow it
├── Conflict          the current state does not allow it
│   └── AlreadyRunning   a job of this account and kind is active; has its ID
├── RetryLater        no call may be made before a certain time
│   └── CallsRefused     Meta refuses this kind of call for the account
├── Unavailable       a server or disk is unavailable; try again later
└── Incomplete        files of this installation are missing
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path


class NametagError(Exception):
    """Base of errors whose text may be shown to users; `http_status` is the status of the page or API response."""

    http_status = 500


class NotFound(NametagError):
    """It does not exist, or the viewer may not see it: the response is the same."""

    http_status = 404

    def __init__(self, what: str) -> None:
        super().__init__(f"No such {what}.")
        self.what = what


class Invalid(NametagError):
    """Wrong input; `fields` maps the name of a field to a sentence that says what it must be."""

    http_status = 422

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__(" ".join(fields.values()))
        self.fields = dict(fields)


class Forbidden(NametagError):
    """The viewer's role does not allow this."""

    http_status = 403


class Conflict(NametagError):
    """The current state does not allow this."""

    http_status = 409


class AlreadyRunning(Conflict):
    """A job of this account and kind is active: `run_id`. `job` describes it for users; it may be `paused`."""

    def __init__(self, run_id: str, job: str, *, paused: bool = False) -> None:
        state = "is paused" if paused else "has not ended"
        advice = "Resume or cancel it." if paused else "Wait until it ends, or cancel it."
        super().__init__(f"{job}, {state} (job {run_id}). Nothing was started. {advice}")
        self.run_id = run_id


class RetryLater(NametagError):
    """No call may be made before `until` (aware UTC)."""

    http_status = 429

    def __init__(self, reason: str, until: datetime) -> None:
        super().__init__(f"Paused until {until:%H:%M} UTC: {reason}.")
        self.reason = reason
        self.until = until


class CallsRefused(RetryLater):
    """Meta refuses this kind of call for the account, whichever contact it is about."""


class Unavailable(NametagError):
    """The database, Redis or another part is unavailable. Retry after `retry_after_seconds`."""

    http_status = 503

    def __init__(self, part: str, retry_after_seconds: int = 5) -> None:
        super().__init__(f"The {part} is not available right now. Nothing was changed.")
        self.part = part
        self.retry_after_seconds = retry_after_seconds


class Incomplete(NametagError):
    """Folders of this installation are missing, as after copying only a part of it."""

    def __init__(self, folders: Sequence[str], root: Path) -> None:
        super().__init__(
            f"Nametag is not installed completely: {', '.join(folders)} missing in {root}. Nothing was started. "
            "Install Nametag again: pip install --force-reinstall --no-deps, and its wheel."
        )
