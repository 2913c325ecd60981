"""Is every part well? Each finding says what is wrong and how to mend it; nothing is changed by looking."""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from redis.exceptions import ReadOnlyError, ResponseError

from app import clock, heartbeats, queue, redis_checks, redis_client, settings
from app.accounts import health
from app.accounts.health import Health
from app.calls import circuit_breaker
from app.db import migrate
from app.db.engine import is_read_only, is_sqlite
from app.db.transaction import DatabaseUnavailable
from app.erasure import owner_requests
from app.errors import Conflict
from app.identities import resolve
from app.ingest import dead_letters
from app.redis_client import RedisUnavailable
from app.settings import SettingsError
from app.viewer import Viewer

FREE_BYTES = 200 * 1024 * 1024  # reliability.md 3.9
SILENT = timedelta(seconds=30)  # after which the scheduler counts as dead (reliability.md F46)
WORKER_SILENT = timedelta(seconds=45)  # an idle worker sends a heartbeat every ten seconds
LONG_WAIT = timedelta(minutes=1)


class Level(StrEnum):
    """How a part is; WARNING leaves Nametag working."""

    WELL = "well"
    WARNING = "warning"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one part: how it is, and for what is not well how to mend it."""

    part: str
    level: Level
    says: str
    mend: str | None = None


def examine(viewer: Viewer) -> list[Finding]:
    """Return what was found of every part that `viewer` may see; a part that cannot be asked is a finding too."""
    found = list(_redis())
    try:
        schema = list(_database())
        found = schema + found
        if all(each.level is Level.WELL for each in schema):
            found += [*_processes(), *_accounts(viewer), *_owner_requests(viewer), *_dead_letters(viewer), *_waiting()]
    except DatabaseUnavailable:
        away = "It cannot be reached"
        found.insert(0, Finding("database", Level.WRONG, away, "Check DATABASE_URL and that its server runs."))
    except SettingsError as error:  # raised when connecting to a database that can't be used
        found.insert(0, Finding("database", Level.WRONG, str(error)))
    return found


def _database() -> Iterator[Finding]:
    if not migrate.is_current():
        yield Finding("database", Level.WRONG, "It is not migrated", "Run `nametag db upgrade`.")
        return
    if is_read_only():
        primary = (
            "After a failover, check that DATABASE_URL leads to the primary server. Otherwise check its disk space."
        )
        yield Finding("database", Level.WRONG, "PostgreSQL is read-only: it refuses every change", primary)
        return
    kind = "SQLite" if is_sqlite() else "PostgreSQL"
    yield Finding("database", Level.WELL, f"{kind}, reachable and migrated")
    folder = settings.current().data_dir
    free = shutil.disk_usage(folder if folder.exists() else folder.anchor or ".").free
    if free < FREE_BYTES:
        left = f"Only {free // 2**20} MiB are free in {folder}"
        yield Finding("disk", Level.WRONG, left, "Free at least 200 MiB: without room, deliveries are refused.")
    else:
        yield Finding("disk", Level.WELL, f"{free // 2**30} GiB free")


def _redis() -> Iterator[Finding]:
    try:
        redis_client.client().ping()
        redis_checks.require_ours()
        yield from _redis_settings()
    except Conflict as wrong:
        yield Finding("redis", Level.WRONG, str(wrong), "Until this is corrected, no process starts.")
    except RedisUnavailable as error:
        says, mend = redis_checks.explain(error)
        mend += " Messages are stored meanwhile; names and jobs wait for it."
        yield Finding("redis", Level.WRONG, says, mend)


def _redis_settings() -> Iterator[Finding]:
    info = redis_client.client().info()
    if info.get("role") != "master":
        raise ReadOnlyError
    yield Finding("redis", Level.WELL, "Reachable")
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        says = f"Its eviction policy is {policy}, which discards queued tasks silently"
        yield Finding("redis", Level.WRONG, says, "Set maxmemory-policy to noeviction.")
    try:
        config = redis_client.client().config_get("appendonly", "save", "requirepass")
    except ResponseError:
        says = "Its host hides the configuration, so persistence could not be checked"
        yield Finding("redis", Level.WARNING, says, "Check in your host's settings that data survives a restart.")
    else:
        yield from _redis_configuration(config)


def _redis_configuration(config: Mapping[str | None, str | None]) -> Iterator[Finding]:
    private = settings.is_private(settings.current().redis_address)
    if config.get("appendonly") == "no" and not config.get("save") and not private:
        says = "Nothing in it survives a restart; queues and budgets are then restored from the database"
        yield Finding("redis", Level.WARNING, says, "Set appendonly to yes.")
    if config.get("requirepass") == "" and not private:
        says = "It can be reached over the network without a password"
        yield Finding("redis", Level.WARNING, says, "Set requirepass, or bind it to this machine alone.")


def _processes() -> Iterator[Finding]:
    newest, now = heartbeats.newest(), clock.now()
    start = "Start it: `nametag up` runs every part, `nametag {}` this one alone."
    parts = {heartbeats.SCHEDULER: ("scheduler", SILENT)}
    parts |= {task.queue: (f"worker --queue {task.queue}", WORKER_SILENT) for task in queue.TASKS.values()}
    for part, (command, patience) in parts.items():
        name = part if part == heartbeats.SCHEDULER else f"worker {part}"
        at = newest.get(part)
        if at is None or at < now - patience:
            yield Finding(name, Level.WRONG, f"No heartbeat {_since(at, now)}", start.format(command))
        else:
            yield Finding(name, Level.WELL, "Alive")


def _since(at: datetime | None, now: datetime) -> str:
    return "yet" if at is None else f"for {round((now - at).total_seconds())} s"


def _accounts(viewer: Viewer) -> Iterator[Finding]:
    everyone = health.list_health(viewer)
    if not everyone:
        yield Finding("accounts", Level.WARNING, "No account is connected", "Connect one: `nametag account add`.")
    for each in everyone:
        yield from _account(each)


def _account(found: Health) -> Iterator[Finding]:
    account = found.account
    part = f"account {account.ig_account_id}"
    if not found.token.well:
        level = Level.WARNING if found.token.works else Level.WRONG
        mend = f"Reconnect it: `nametag account add --ig-account-id {account.ig_account_id} …`."
        yield Finding(part, level, found.token.says, mend)
    if found.refused:
        says = f"Its owner did not give {', '.join(found.refused)}"
        yield Finding(part, Level.WRONG, says, "Connect it again and allow everything that is asked for.")
    yield from _subscription(part, found)
    if found.silent:
        says = "Nothing has arrived for far longer than is usual"
        yield Finding(part, Level.WARNING, says, "Check the webhook's address in Meta's app dashboard.")
    if account.lookup_problem:
        mend = "Nametag asks Meta again at least once an hour and resumes automatically."
        yield Finding(part, Level.WRONG, account.lookup_problem, mend)
    stop = circuit_breaker.current_block(account.id)
    if stop:
        says = f"Calls are paused until {stop.until:%H:%M} UTC: {stop.reason}"
        yield Finding(part, Level.WARNING, says, "They resume automatically. Messages are stored meanwhile.")
    if found.well and not stop:
        again = "".join(f". {each.says}" for each in found.refusals)
        yield Finding(part, Level.WELL, f"Connected{again}")


def _subscription(part: str, found: Health) -> Iterator[Finding]:
    known, check = found.subscription, f"`nametag account check {found.account.ig_account_id}`."
    if known.error:
        mend = f"{known.remedy} Then run {check}" if known.problem else f"Run {check}"
        yield Finding(part, Level.WRONG, known.error, mend)
    if known.warning:
        mend = f"Add the field to the app's webhooks at Meta if you need it, then run {check}"
        yield Finding(part, Level.WARNING, known.warning, mend)


def _owner_requests(viewer: Viewer) -> Iterator[Finding]:
    number = owner_requests.count_open(viewer)
    if number:
        says = f"{number} of account owners match no account, and Meta expects a result"
        fix = "Run `nametag account requests list`, then assign or close each request."
        yield Finding("owner requests", Level.WARNING, says, fix)


def _dead_letters(viewer: Viewer) -> Iterator[Finding]:
    number, announced = dead_letters.count(viewer), dead_letters.count(viewer, reason=dead_letters.UNRESOLVED)
    see = "Run `nametag dead-letters list`, then replay or discard them."
    if number > announced:
        yield Finding("dead letters", Level.WARNING, f"{number - announced} could not be processed", see)
    if announced:
        says = f"{announced} announced by Instagram and never delivered"
        yield Finding("unresolved messages", Level.WARNING, says, see)
    if not number:
        yield Finding("dead letters", Level.WELL, "None")


def _waiting() -> Iterator[Finding]:
    late = resolve.accounts_due(clock.now() - LONG_WAIT, live=True)
    if late:
        accounts = f"{len(late)} account{'' if len(late) == 1 else 's'}"
        says = f"Contacts in {accounts} have waited over a minute for a lookup that no worker has taken"
        mend = f"Check that `nametag worker --queue {queue.TASKS[queue.RESOLVE].queue}` runs and reaches Redis."
        yield Finding("lookups", Level.WARNING, says, mend)
    else:
        yield Finding("lookups", Level.WELL, "Nobody waits")
