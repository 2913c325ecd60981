"""What somebody chooses before a run starts: whom, and how many at a time."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.errors import NotFound
from app.models.run import RunKind
from app.runs import lifecycle
from app.runs.estimate import Estimate
from app.viewer import Viewer

DAYS = 7  # what a choice of days begins with
SCOPES = ("nameless", "recent", "everyone")


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A run as it is chosen; `days` narrow a backfill to those of the last days."""

    kind: RunKind
    days: int | None = None
    batch_size: int = lifecycle.BATCH_SIZE

    @property
    def scope(self) -> str:
        """The choice among SCOPES that this is."""
        return "everyone" if self.kind is RunKind.REFRESH else "nameless" if self.days is None else "recent"


def parse(fields: Mapping[str, str], kind: str | None = None) -> RunRequest:
    """Return what a form or an address asks for; a number that is none becomes 0, which is refused like one."""
    scope = fields.get("scope") or ("recent" if fields.get("days") else "nameless")
    wanted = RunKind(kind) if kind else RunKind.REFRESH if scope == "everyone" else RunKind.BACKFILL
    days = _number(fields.get("days") or str(DAYS)) if scope == "recent" else None
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
