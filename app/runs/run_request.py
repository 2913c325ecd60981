"""What a user chooses before a job starts: its contacts and the batch size."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.errors import NotFound
from app.models.run import RunKind
from app.runs import kinds, lifecycle
from app.runs.estimate import Estimate
from app.viewer import Viewer

DAYS = 7  # the default of the form
RECENT = "recent"  # the scope of a job that is limited to the last days; the others belong to a kind


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A requested job; `days` limit a backfill to contacts whose conversation had a message in the last days."""

    kind: RunKind
    days: int | None = None
    batch_size: int = lifecycle.BATCH_SIZE

    @property
    def scope(self) -> str:
        """The matching choice of the form."""
        rules = kinds.RULES[self.kind]
        return RECENT if rules.takes_days and self.days is not None else rules.scope


def parse(fields: Mapping[str, str], kind: str | None = None) -> RunRequest:
    """Return the job that form fields or query parameters request. An unreadable number becomes 0, which is refused."""
    scope = fields.get("scope") or (RECENT if fields.get("days") else "")
    wanted = RunKind(kind) if kind else kinds.with_scope(scope)
    days = _number(fields.get("days") or str(DAYS)) if scope == RECENT else None
    size = fields.get("batchSize")
    return RunRequest(wanted, days, _number(size) if size else lifecycle.BATCH_SIZE)


def estimate(viewer: Viewer, account_id: int | None, request: RunRequest) -> Estimate:
    """Return the estimate of a requested job; raises as `start` does."""
    lifecycle.require_batch_size(request.batch_size)
    return lifecycle.estimate_run(viewer, _account(account_id), kind=request.kind, days=request.days)


def start(viewer: Viewer, account_id: int | None, request: RunRequest) -> str:
    """Start the requested job and return its ID; raises as `lifecycle.start` does, and NotFound without an account."""
    return lifecycle.start(
        viewer, _account(account_id), kind=request.kind, batch_size=request.batch_size, days=request.days
    )


def _account(account_id: int | None) -> int:
    if account_id is None:
        raise NotFound("account")
    return account_id


def _number(value: str) -> int:
    return int(value) if value.isascii() and value.isdigit() and len(value) < 4 else 0
