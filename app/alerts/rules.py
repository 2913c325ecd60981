"""Which findings of the health checks are alerts, and which alerts another one explains. The only table of both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.findings import KnownFinding, Level
from app.labels import label
from app.models.alert import AlertKind
from app.models.process import CheckedPart

# By the key of the finding. Other errors are a HEALTH_CHECK, other warnings are shown on the Health page only.
KINDS: Mapping[str, AlertKind] = {
    "database.disk": AlertKind.DISK_FULL,
    "redis.connection": AlertKind.REDIS_UNUSABLE,
    "redis.unusable": AlertKind.REDIS_UNUSABLE,
    "redis.eviction": AlertKind.REDIS_UNUSABLE,
    "accounts.token": AlertKind.TOKEN_REJECTED,
    "accounts.permissions": AlertKind.PERMISSION_MISSING,
    "accounts.subscription": AlertKind.SUBSCRIPTION_MISSING,
    "accounts.silent": AlertKind.SILENT,
    "accounts.lookups": AlertKind.LOOKUPS_REFUSED,
    "accounts.calls": AlertKind.CALLS_PAUSED,
    "owner_requests.open": AlertKind.OWNER_REQUESTS,
    "dead_letters.open": AlertKind.DEAD_LETTERS,
    "dead_letters.unresolved": AlertKind.DEAD_LETTERS,
    "lookups.waiting": AlertKind.LOOKUPS_WAITING,
    "jobs.failed": AlertKind.JOB_FAILED,
    "naming.slow": AlertKind.SLO_MISSED,
    "naming.reasons": AlertKind.REASONS_MOVED,
}
NO_CHECKS = ("database.connection", "database.schema", "database.read_only")  # then most checks do not run
SCHEDULER = "processes.scheduler"  # opens no alert: without a scheduler no process opens alerts
RESUMING = (AlertKind.CALLS_PAUSED,)  # ends automatically, mostly within a minute
PATIENCE = timedelta(minutes=5)  # for those
# Pairs of an alert and its cause: while the cause is found for the same account or the installation, the alert is not
# opened.
CAUSES = (
    (AlertKind.WORKER_MISSING, AlertKind.REDIS_UNUSABLE),  # workers wait for Redis
    (AlertKind.LOOKUPS_WAITING, AlertKind.REDIS_UNUSABLE),
    (AlertKind.LOOKUPS_WAITING, AlertKind.WORKER_MISSING),
    (AlertKind.PERMISSION_MISSING, AlertKind.TOKEN_REJECTED),
    (AlertKind.SUBSCRIPTION_MISSING, AlertKind.TOKEN_REJECTED),
    (AlertKind.SILENT, AlertKind.TOKEN_REJECTED),
    (AlertKind.SILENT, AlertKind.SUBSCRIPTION_MISSING),
    (AlertKind.GAP_FOUND, AlertKind.TOKEN_REJECTED),
    (AlertKind.GAP_FOUND, AlertKind.SUBSCRIPTION_MISSING),
    (AlertKind.GAP_FOUND, AlertKind.SILENT),
    (AlertKind.LOOKUPS_REFUSED, AlertKind.TOKEN_REJECTED),
    (AlertKind.LOOKUPS_REFUSED, AlertKind.PERMISSION_MISSING),
    (AlertKind.SLO_MISSED, AlertKind.WORKER_MISSING),
    (AlertKind.SLO_MISSED, AlertKind.REDIS_UNUSABLE),
    (AlertKind.SLO_MISSED, AlertKind.TOKEN_REJECTED),
    (AlertKind.SLO_MISSED, AlertKind.LOOKUPS_REFUSED),
    (AlertKind.REASONS_MOVED, AlertKind.TOKEN_REJECTED),
    (AlertKind.REASONS_MOVED, AlertKind.LOOKUPS_REFUSED),
    (AlertKind.CALLS_PAUSED, AlertKind.REDIS_UNUSABLE),
    (AlertKind.CALLS_PAUSED, AlertKind.TOKEN_REJECTED),
)

Key = tuple[AlertKind, str | None]  # kind and professional account ID, None for the installation


@dataclass(frozen=True, slots=True)
class Problem:
    """What an alert says: the worst level, and the messages of all its findings.

    One that does not open an alert (`opens`) keeps an open one open.
    """

    level: Level
    text: str
    fix: str | None
    opens: bool = True


def problems(found: Sequence[KnownFinding], now: datetime) -> dict[Key, Problem]:
    """Return the problems in the findings of all checks, one per kind and account."""
    grouped: dict[Key, list[KnownFinding]] = {}
    for each in found:
        kind = _kind(each)
        if kind is not None and (kind not in RESUMING or now - each.since >= PATIENCE):
            grouped.setdefault((kind, each.ig_account_id), []).append(each)
    return {key: _problem(key[0], some) for key, some in grouped.items()}


def is_explained(key: Key, among: Mapping[Key, Problem]) -> bool:
    """Return whether another problem is the cause of this one."""
    kind, ig_account_id = key
    causes = [cause for effect, cause in CAUSES if effect is kind]
    return any((cause, of) in among for cause in causes for of in (ig_account_id, None))


def was_checked(kind: AlertKind, found: Sequence[KnownFinding]) -> bool:
    """Return whether the checks ran that would have found a problem of this kind: one can fail by itself."""
    if any(each.level is Level.ERROR and each.key in NO_CHECKS for each in found):
        return False
    failed = {each.part for each in found if each.key == f"{each.part}.check"}
    return kind in (AlertKind.HEALTH_CHECK, AlertKind.GAP_FOUND) or _part(kind) not in failed


def _kind(found: KnownFinding) -> AlertKind | None:
    if found.level is Level.OK or found.key == SCHEDULER:
        return None
    if found.part is CheckedPart.PROCESSES and found.key != "processes.check":
        return AlertKind.WORKER_MISSING
    kind = KINDS.get(found.key)
    if kind is AlertKind.TOKEN_REJECTED and found.level is Level.WARNING:
        return AlertKind.TOKEN_EXPIRING
    if kind is None and found.level is not Level.WARNING:
        return AlertKind.HEALTH_CHECK
    return kind


def _problem(kind: AlertKind, found: Sequence[KnownFinding]) -> Problem:
    level = Level.WARNING if all(each.level is Level.WARNING for each in found) else Level.ERROR
    messages = [_message(kind, each) for each in found]
    return Problem(level, "; ".join(messages), next((each.fix for each in found if each.fix), None))


def _message(kind: AlertKind, found: KnownFinding) -> str:
    """Return the message with its check in front, unless the account or the title of the alert says which it was."""
    check = found.check.capitalize()
    return found.message if found.ig_account_id or check == label(kind) else f"{check}: {found.message}"


def _part(kind: AlertKind) -> str:
    if kind is AlertKind.WORKER_MISSING:
        return CheckedPart.PROCESSES
    key = next((key for key, of in KINDS.items() if of is kind), "accounts.token")
    return key.partition(".")[0]
