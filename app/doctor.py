"""Health checks behind `nametag doctor`. Read-only. Each finding has a level, a message and a suggested fix."""

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

FREE_BYTES = 200 * 1024 * 1024  # when the disk is full, webhook deliveries are rejected
SILENT = timedelta(seconds=30)  # the scheduler sends a heartbeat every ten seconds
WORKER_SILENT = timedelta(seconds=45)  # an idle worker sends a heartbeat every ten seconds
LONG_WAIT = timedelta(minutes=1)


class Level(StrEnum):
    """Result of a check. With a WARNING, Nametag works."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check: `fix` says what to do, None if nothing. Also the JSON of `nametag doctor --json`."""

    check: str
    level: Level
    message: str
    fix: str | None = None


def examine(viewer: Viewer) -> list[Finding]:
    """Return the findings of all checks that `viewer` may see. A server that can't be reached is a finding, too."""
    found = list(_redis())
    try:
        schema = list(_database())
        found = schema + found
        if all(each.level is Level.OK for each in schema):
            found += [*_processes(), *_accounts(viewer), *_owner_requests(viewer), *_dead_letters(viewer), *_waiting()]
    except DatabaseUnavailable:
        fix = "Check DATABASE_URL and that the server is running."
        found.insert(0, Finding("database", Level.ERROR, "Can't connect", fix))
    except SettingsError as error:  # raised when connecting to a database that can't be used
        found.insert(0, Finding("database", Level.ERROR, str(error)))
    return found


def _database() -> Iterator[Finding]:
    schema = migrate.schema()
    if schema.problem:
        yield Finding("database", Level.ERROR, schema.problem.removesuffix("."), schema.fix)
        return
    if is_read_only():
        fix = "After a failover, check that DATABASE_URL points to the primary server. Otherwise check its disk space."
        yield Finding("database", Level.ERROR, "PostgreSQL is read-only: it refuses every change", fix)
        return
    kind = "SQLite" if is_sqlite() else "PostgreSQL"
    yield Finding("database", Level.OK, f"{kind}, reachable, schema up to date")
    folder = settings.current().data_dir
    free = shutil.disk_usage(folder if folder.exists() else folder.anchor or ".").free
    if free < FREE_BYTES:
        message = f"Only {free // 2**20} MiB free in {folder}"
        fix = "Free at least 200 MiB. When the disk is full, webhook deliveries are rejected."
        yield Finding("disk", Level.ERROR, message, fix)
    else:
        yield Finding("disk", Level.OK, f"{free // 2**30} GiB free")


def _redis() -> Iterator[Finding]:
    try:
        redis_client.client().ping()
        redis_checks.require_ours()
        yield from _redis_settings()
    except Conflict as error:
        yield Finding("redis", Level.ERROR, str(error), "Check REDIS_URL. Nametag won't start with this Redis.")
    except RedisUnavailable as error:
        message, fix = redis_checks.explain(error)
        fix += " Messages are still stored; lookups and jobs are paused."
        yield Finding("redis", Level.ERROR, message, fix)


def _redis_settings() -> Iterator[Finding]:
    info = redis_client.client().info()
    if info.get("role") != "master":
        raise ReadOnlyError
    yield Finding("redis", Level.OK, "Reachable")
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        message = f"Eviction policy is {policy}: Redis may silently discard queued tasks"
        yield Finding("redis", Level.ERROR, message, "Set maxmemory-policy to noeviction.")
    try:
        config = redis_client.client().config_get("appendonly", "save", "requirepass")
    except ResponseError:
        message = "The host hides the configuration, so persistence could not be checked"
        yield Finding("redis", Level.WARNING, message, "Check in your host's settings that data survives a restart.")
    else:
        yield from _redis_configuration(config)


def _redis_configuration(config: Mapping[str | None, str | None]) -> Iterator[Finding]:
    private = settings.is_private(settings.current().redis_address)
    if config.get("appendonly") == "no" and not config.get("save") and not private:
        message = "Data isn't persisted across restarts; queues and budgets are rebuilt from the database"
        yield Finding("redis", Level.WARNING, message, "Set appendonly to yes.")
    if config.get("requirepass") == "" and not private:
        message = "Reachable over the network without a password"
        yield Finding("redis", Level.WARNING, message, "Set requirepass, or bind Redis to this machine only.")


def _processes() -> Iterator[Finding]:
    newest, now = heartbeats.newest(), clock.now()
    fix = "Start it with `nametag {}`, or start everything with `nametag up`."
    processes = {heartbeats.SCHEDULER: ("scheduler", SILENT)}
    processes |= {task.queue: (f"worker --queue {task.queue}", WORKER_SILENT) for task in queue.TASKS.values()}
    for part, (command, silent) in processes.items():
        name = part if part == heartbeats.SCHEDULER else f"worker {part}"
        at = newest.get(part)
        if at is None or at < now - silent:
            yield Finding(name, Level.ERROR, f"No heartbeat {_since(at, now)}", fix.format(command))
        else:
            yield Finding(name, Level.OK, "Running")


def _since(at: datetime | None, now: datetime) -> str:
    return "yet" if at is None else f"for {round((now - at).total_seconds())} s"


def _accounts(viewer: Viewer) -> Iterator[Finding]:
    found = health.list_health(viewer)
    if not found:
        yield Finding("accounts", Level.WARNING, "No accounts connected", "Connect one with `nametag account add`.")
    for each in found:
        yield from _account(each)


def _account(found: Health) -> Iterator[Finding]:
    account = found.account
    check = f"account {account.ig_account_id}"
    if not found.token.well:
        level = Level.WARNING if found.token.works else Level.ERROR
        fix = f"Reconnect it with `nametag account add --ig-account-id {account.ig_account_id} …`."
        yield Finding(check, level, found.token.says, fix)
    if found.refused:
        message = f"Missing permissions: {', '.join(found.refused)}"
        yield Finding(check, Level.ERROR, message, "Reconnect the account and grant all permissions.")
    yield from _subscription(check, found)
    if found.silent:
        message = "No webhooks for an unusually long time"
        yield Finding(check, Level.WARNING, message, "Check the webhook's callback URL in Meta's App Dashboard.")
    if account.lookup_problem:
        fix = "Nametag tries again at least once an hour and resumes automatically."
        yield Finding(check, Level.ERROR, account.lookup_problem, fix)
    stop = circuit_breaker.current_block(account.id)
    if stop:
        message = f"API calls paused until {stop.until:%H:%M} UTC: {stop.reason}"
        yield Finding(check, Level.WARNING, message, "Calls resume automatically. Messages are still stored.")
    if found.well and not stop:
        again = "".join(f". {each.says}" for each in found.refusals)
        yield Finding(check, Level.OK, f"Connected{again}")


def _subscription(name: str, found: Health) -> Iterator[Finding]:
    known, check = found.subscription, f"`nametag account check {found.account.ig_account_id}`."
    if known.error:
        fix = f"{known.remedy} Then run {check}" if known.problem else f"Run {check}"
        yield Finding(name, Level.ERROR, known.error, fix)
    if known.warning:
        fix = f"If you need the field, subscribe the app to it in Meta's App Dashboard, then run {check}"
        yield Finding(name, Level.WARNING, known.warning, fix)


def _owner_requests(viewer: Viewer) -> Iterator[Finding]:
    number = owner_requests.count_open(viewer)
    if number:
        message = (
            f"{number} request{'' if number == 1 else 's'} of account owners match no account; Meta expects a result"
        )
        fix = "Run `nametag account requests list`, then assign or close each request."
        yield Finding("owner requests", Level.WARNING, message, fix)


def _dead_letters(viewer: Viewer) -> Iterator[Finding]:
    number, announced = dead_letters.count(viewer), dead_letters.count(viewer, reason=dead_letters.UNRESOLVED)
    fix = "Run `nametag dead-letters list`, then replay or discard them."
    if number > announced:
        yield Finding("dead letters", Level.WARNING, f"{number - announced} not processed", fix)
    if announced:
        message = f"{announced} announced by Instagram and never delivered"
        yield Finding("unresolved messages", Level.WARNING, message, fix)
    if not number:
        yield Finding("dead letters", Level.OK, "None")


def _waiting() -> Iterator[Finding]:
    late = resolve.accounts_due(clock.now() - LONG_WAIT, live=True)
    if late:
        accounts = f"{len(late)} account{'' if len(late) == 1 else 's'}"
        message = f"Contacts in {accounts} have waited over a minute for a lookup that no worker has taken"
        fix = f"Check that `nametag worker --queue {queue.TASKS[queue.RESOLVE].queue}` runs and reaches Redis."
        yield Finding("lookups", Level.WARNING, message, fix)
    else:
        yield Finding("lookups", Level.OK, "No contacts waiting")
