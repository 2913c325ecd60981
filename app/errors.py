"""What ends a request, a command or a task early; each door translates these in one place.

NametagError
├── NotFound          nothing there, or not for this viewer; the caller asked for it
├── Invalid           fields that are wrong; the caller can mend them
├── Forbidden         the viewer's role does not allow it
├── Conflict          the present state does not allow it
│   └── AlreadyRunning   a run of this account and kind is active; carries its id
├── RetryLater         no call may be made before a certain time; nobody's fault, wait
│   └── CallsRefused     Meta refuses this kind of call of the account
├── Unavailable       database, Redis or disk is unavailable; try again later
└── Incomplete        files of this installation are missing; install it from a checkout
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path


class NametagError(Exception):
    """Base of every error that is raised on purpose; its text may be shown to users.

    `http_status` is the status of a page or an API response that it ends.
    """

    http_status = 500


class NotFound(NametagError):
    """Nothing there, or not for this viewer: both read the same from outside."""

    http_status = 404

    def __init__(self, what: str) -> None:
        super().__init__(f"No such {what}.")
        self.what = what


class Invalid(NametagError):
    """Input that was refused; `fields` maps a field's name to a sentence that says what it should be."""

    http_status = 422

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__(" ".join(fields.values()))
        self.fields = dict(fields)


class Forbidden(NametagError):
    """The viewer's role does not allow this."""

    http_status = 403


class Conflict(NametagError):
    """The present state does not allow this."""

    http_status = 409


class AlreadyRunning(Conflict):
    """A job of this account and kind has not ended; `run_id` is its ID, `job` names it for users."""

    def __init__(self, run_id: str, job: str) -> None:
        super().__init__(f"{job}, has not ended (job {run_id}). Nothing was started. Wait until it ends, or cancel it.")
        self.run_id = run_id


class RetryLater(NametagError):
    """No call may be made before `until` (aware UTC)."""

    http_status = 429

    def __init__(self, reason: str, until: datetime) -> None:
        super().__init__(f"Paused until {until:%H:%M} UTC: {reason}.")
        self.reason = reason
        self.until = until


class CallsRefused(RetryLater):
    """Meta refuses this kind of call of the account, whichever contact it is about."""


class Unavailable(NametagError):
    """A part of the installation is away; worth another try after `retry_after_seconds`."""

    http_status = 503

    def __init__(self, part: str, retry_after_seconds: int = 5) -> None:
        super().__init__(f"The {part} is not available right now. Nothing was changed.")
        self.part = part
        self.retry_after_seconds = retry_after_seconds


class Incomplete(NametagError):
    """Folders of this installation are missing, as after `pip install .` outside the checkout."""

    def __init__(self, folders: Sequence[str], root: Path) -> None:
        super().__init__(
            f"Nametag is not installed completely: {', '.join(folders)} missing in {root}. Nothing was started. "
            "Run Nametag from a checkout of its repository: pip install -e . there."
        )
