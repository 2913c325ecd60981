"""What somebody chooses before a run starts: whom, and how many at a time."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.errors import NotFound
from app.models.run import RunKind
from app.runs import kinds, lifecycle
from app.runs.estimate import Estimate
from app.viewer import Viewer

DAYS = 7  # what a choice of days begins with
RECENT = "recent"  # the scope of a job that is limited to the last days; the others belong to a kind


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A run as it is chosen; `days` narrow a backfill to those of the last days."""

    kind: RunKind
    days: int | None = None
    batch_size: int = lifecycle.BATCH_SIZE

    @property
    def scope(self) -> str:
        """The choice in the form that this is."""
        rules = kinds.RULES[self.kind]
        return RECENT if rules.takes_days and self.days is not None else rules.scope


def parse(fields: Mapping[str, str], kind: str | None = None) -> RunRequest:
    """Return what a form or an address asks for; a number that is none becomes 0, which is refused like one."""
    scope = fields.get("scope") or (RECENT if fields.get("days") else "")
    wanted = RunKind(kind) if kind else kinds.with_scope(scope)
    days = _number(fields.get("days") or str(DAYS)) if scope == RECENT else None
    size = fields.get("batchSize")
    return RunRequest(wanted, days, _number(size) if size else lifecycle.BATCH_SIZE)


def estimate(viewer: Viewer, account_id: int | None, order: RunRequest) -> Estimate:
    """Return what a run would cost if it were started now; raises as `start` does."""
    lifecycle.require_batch_size(order.batch_size)
    return lifecycle.estimate_run(viewer, _account(account_id), kind=order.kind, days=order.days)


def start(viewer: Viewer, account_id: int | None, order: RunRequest) -> str:
    """Start the run that was chosen and return its id; raises as `plan.start` does, NotFound without an account."""
    return lifecycle.start(viewer, _account(account_id), kind=order.kind, batch_size=order.batch_size, days=order.days)


def _account(account_id: int | None) -> int:
    if account_id is None:
        raise NotFound("account")
    return account_id


def _number(words: str) -> int:
    return int(words) if words.isascii() and words.isdigit() and len(words) < 4 else 0
