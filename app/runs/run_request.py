"""What a user chooses before a job starts: its contacts and the batch size."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from app.errors import Invalid, NotFound
from app.identities import listing
from app.identities.listing import IdentityFilter
from app.models.run import RunKind, RunScope
from app.runs import kinds, lifecycle
from app.runs.plan import Plan, get_plan
from app.runs.selection import Selection
from app.text import ROW_NUMBER
from app.viewer import Viewer

DAYS = 7  # the default of the form


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A requested job; `days` limit a backfill to contacts whose conversation had a message in the last days.

    A refresh may be limited to identities that match a filter, or to chosen ones by their IDs.
    """

    kind: RunKind
    days: int | None = None
    batch_size: int = lifecycle.BATCH_SIZE
    matching: IdentityFilter | None = None
    chosen: tuple[int, ...] = field(default=())

    @property
    def scope(self) -> str:
        """The matching choice of the form."""
        if self.chosen:
            return RunScope.CHOSEN
        if self.matching is not None:
            return RunScope.FILTER
        rules = kinds.RULES[self.kind]
        return RunScope.RECENT if rules.takes_days and self.days is not None else rules.scope

    @property
    def fields(self) -> list[tuple[str, str]]:
        """The form fields that request the same job, without the kind and the account."""
        found = [("scope", self.scope), ("batchSize", str(self.batch_size))]
        if self.days is not None:
            found.append(("days", str(self.days)))
        return [*found, *self.filters.items(), *(("identity", str(each)) for each in self.chosen)]

    @property
    def filters(self) -> dict[str, str]:
        """The filter of the Identities page as query parameters, empty without one."""
        want = self.matching
        return {"state": want.state or "", "reason": want.reason or "", "q": want.q} if want is not None else {}


def parse(fields: Mapping[str, str], kind: str | None = None, *, identities: list[str] | None = None) -> RunRequest:
    """Return the job that form fields or query parameters request. An unreadable number becomes 0, which is refused.

    `identities` are the IDs of chosen identities. Raises Invalid for an unknown filter, and without a chosen contact.
    """
    scope = fields.get("scope") or (RunScope.RECENT if fields.get("days") else "")
    size = fields.get("batchSize")
    batch_size = _number(size) if size else lifecycle.BATCH_SIZE
    if scope == RunScope.FILTER:
        matching = listing.parse_filter(state=fields.get("state"), reason=fields.get("reason"), q=fields.get("q", ""))
        return RunRequest(RunKind.REFRESH, None, batch_size, matching)
    if scope == RunScope.CHOSEN:
        chosen = tuple(int(each) for each in identities or [] if ROW_NUMBER.fullmatch(each))
        if not chosen:
            raise Invalid({"identity": "Select at least one contact."})
        return RunRequest(RunKind.REFRESH, None, batch_size, chosen=chosen)
    wanted = RunKind(kind) if kind else kinds.with_scope(scope)
    days = _number(fields.get("days") or str(DAYS)) if scope == RunScope.RECENT else None
    return RunRequest(wanted, days, batch_size)


def plan(viewer: Viewer, account_id: int | None, request: RunRequest) -> Plan:
    """Return the plan of a requested job; raises as `start` does."""
    lifecycle.require_batch_size(request.batch_size)
    return get_plan(viewer, _selection(account_id, request))


def start(viewer: Viewer, account_id: int | None, request: RunRequest) -> str:
    """Start the requested job and return its ID; raises as `lifecycle.start` does, and NotFound without an account."""
    return lifecycle.start_selection(viewer, _selection(account_id, request), batch_size=request.batch_size)


def _selection(account_id: int | None, request: RunRequest) -> Selection:
    if account_id is None:
        raise NotFound("account")
    matching = replace(request.matching, account_id=account_id) if request.matching is not None else None
    return Selection(account_id, request.kind, request.days, matching=matching, chosen=request.chosen)


def _number(value: str) -> int:
    return int(value) if value.isascii() and value.isdigit() and len(value) < 4 else 0
