"""Health checks, the only place that has them: for `nametag doctor`, and stored every 30 seconds for the Health page.

Each finding has a level, a message and a suggested fix. Only `record` writes.
"""

import functools
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta

from redis.exceptions import ReadOnlyError, ResponseError

from app import clock, findings, heartbeats, queue, redis_checks, redis_client, settings, text
from app.accounts import health, listing
from app.accounts.health import Health
from app.alerts import receivers
from app.calls import circuit_breaker
from app.db import migrate
from app.db.engine import db, is_read_only, is_sqlite
from app.db.transaction import DatabaseUnavailable
from app.erasure import owner_requests
from app.errors import Conflict
from app.findings import Finding
from app.identities import resolve
from app.ingest import dead_letters
from app.ingest.dead_letters import LetterFilter
from app.insights import service_levels
from app.labels import label
from app.models.process import CheckedPart, Level
from app.redis_client import RedisUnavailable
from app.runs import failures
from app.settings import SettingsError
from app.viewer import SCHEDULE, Role, Viewer

logger = logging.getLogger(__name__)

FREE_BYTES = 200 * 1024 * 1024  # when the disk is full, webhook deliveries are rejected
WORKER_SILENT = timedelta(seconds=45)  # an idle worker sends a heartbeat every ten seconds
LONG_WAIT = timedelta(minutes=1)


def examine(viewer: Viewer) -> list[Finding]:
    """Return the findings of all checks that `viewer` may see. A server that can't be reached is a finding, too."""
    found = list(_guarded(CheckedPart.REDIS, _redis))
    try:
        schema = list(_guarded(CheckedPart.DATABASE, _database))
        found = schema + found
        if all(each.level is Level.OK for each in schema if each.check == "database"):
            for part, check in (
                (CheckedPart.PROCESSES, _processes),
                (CheckedPart.ACCOUNTS, functools.partial(_accounts, viewer)),
                (CheckedPart.OWNER_REQUESTS, functools.partial(_owner_requests, viewer)),
                (CheckedPart.DEAD_LETTERS, functools.partial(_dead_letters, viewer)),
                (CheckedPart.LOOKUPS, _waiting),
                (CheckedPart.JOBS, functools.partial(_jobs, viewer)),
                (CheckedPart.NAMING, functools.partial(_naming, viewer)),
                (CheckedPart.ALERT_RECEIVERS, functools.partial(_alert_receivers, viewer)),
            ):
                found += _guarded(part, check)
    except DatabaseUnavailable:
        fix = "Check DATABASE_URL and that the server is running."
        found.insert(0, Finding("database", Level.ERROR, "Can't connect", fix, key="database.connection"))
    except SettingsError as error:  # raised when connecting to a database that can't be used
        found.insert(0, Finding("database", Level.ERROR, str(error), key="database.connection"))
    return found


def record() -> None:
    """Run all checks and store their findings. Raises Unavailable if the database can't be written."""
    found = examine(SCHEDULE)
    findings.store(found, clock.now())


def check_now(viewer: Viewer) -> None:
    """Run all checks and store their findings, for ops and admins. Raises as `record` does."""
    viewer.require(Role.OPS)
    record()


def _guarded(
    part: CheckedPart, check: Callable[[], Iterator[Finding]], *, name: str = "", ig_account_id: str | None = None
) -> Iterator[Finding]:
    """Yield the findings of a check; one that fails by itself is a finding and keeps no other check from running."""
    try:
        yield from check()
    except (*DatabaseUnavailable, SettingsError):
        raise
    except Exception as error:
        db.session.rollback()
        logger.exception("health check failed", extra={"check": part})
        message, fix = f"The check itself failed: {type(error).__name__}", "Report it with the traceback from the log."
        name = name or label(part).lower()
        yield Finding(name, Level.ERROR, message, fix, key=f"{part}.check", ig_account_id=ig_account_id)


def _database() -> Iterator[Finding]:
    schema = migrate.schema()
    if schema.problem:
        yield Finding("database", Level.ERROR, schema.problem.removesuffix("."), schema.fix, key="database.schema")
        return
    if is_read_only():
        fix = "After a failover, check that DATABASE_URL points to the primary server. Otherwise check its disk space."
        message = "PostgreSQL is read-only: it refuses every change"
        yield Finding("database", Level.ERROR, message, fix, key="database.read_only")
        return
    kind = "SQLite" if is_sqlite() else "PostgreSQL"
    yield Finding("database", Level.OK, f"{kind}, reachable, schema up to date", key="database.connection")
    folder = settings.current().data_dir
    free = shutil.disk_usage(folder if folder.exists() else folder.anchor or ".").free
    if free < FREE_BYTES:
        message = f"Only {free // 2**20} MiB free in {folder}"
        fix = "Free at least 200 MiB. When the disk is full, webhook deliveries are rejected."
        yield Finding("disk", Level.ERROR, message, fix, key="database.disk")
    else:
        yield Finding("disk", Level.OK, f"{free // 2**30} GiB free", key="database.disk")


def _redis() -> Iterator[Finding]:
    try:
        redis_client.client().ping()
        redis_checks.require_ours()
        yield from _redis_settings()
    except Conflict as error:
        fix = "Check REDIS_URL. Nametag won't start with this Redis."
        yield Finding("redis", Level.ERROR, str(error), fix, key="redis.unusable")
    except RedisUnavailable as error:
        message, fix = redis_checks.explain(error)
        fix += " Messages are still stored; lookups and jobs are paused."
        yield Finding("redis", Level.ERROR, message, fix, key="redis.connection")


def _redis_settings() -> Iterator[Finding]:
    info = redis_client.client().info()
    if info.get("role") != "master":
        raise ReadOnlyError
    yield Finding("redis", Level.OK, "Reachable", key="redis.connection")
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        message = f"Eviction policy is {policy}: Redis may silently discard queued tasks"
        yield Finding("redis", Level.ERROR, message, "Set maxmemory-policy to noeviction.", key="redis.eviction")
    try:
        config = redis_client.client().config_get("appendonly", "save", "requirepass")
    except ResponseError:
        message = "The host hides the configuration, so persistence could not be checked"
        fix = "Check in your host's settings that data survives a restart."
        yield Finding("redis", Level.WARNING, message, fix, key="redis.configuration")
    else:
        yield from _redis_configuration(config)


def _redis_configuration(config: Mapping[str | None, str | None]) -> Iterator[Finding]:
    private = settings.is_private(settings.current().redis_address)
    if config.get("appendonly") == "no" and not config.get("save") and not private:
        message = "Data isn't persisted across restarts; queues and budgets are rebuilt from the database"
        yield Finding("redis", Level.WARNING, message, "Set appendonly to yes.", key="redis.persistence")
    if config.get("requirepass") == "" and not private:
        message = "Reachable over the network without a password"
        fix = "Set requirepass, or bind Redis to this machine only."
        yield Finding("redis", Level.WARNING, message, fix, key="redis.password")


def _processes() -> Iterator[Finding]:
    newest, now = heartbeats.newest(), clock.now()
    fix = "Start it with `nametag {}`, or start everything with `nametag up`."
    processes = {heartbeats.SCHEDULER: ("scheduler", heartbeats.SILENT)}
    processes |= {task.queue: (f"worker --queue {task.queue}", WORKER_SILENT) for task in queue.TASKS.values()}
    for part, (command, silent) in processes.items():
        name = part if part == heartbeats.SCHEDULER else f"worker {part}"
        at, key = newest.get(part), f"processes.{part}"
        if at is None or at < now - silent:
            yield Finding(name, Level.ERROR, f"No heartbeat {_since(at, now)}", fix.format(command), key=key)
        else:
            yield Finding(name, Level.OK, "Running", key=key)


def _since(at: datetime | None, now: datetime) -> str:
    return "yet" if at is None else f"for {round((now - at).total_seconds())} s"


def _accounts(viewer: Viewer) -> Iterator[Finding]:
    found = health.list_health(viewer)
    if not found:
        fix = "Connect one with `nametag account add`."
        yield Finding("accounts", Level.WARNING, "No accounts connected", fix, key="accounts.none")
    for each in found:
        check, ig_account_id = functools.partial(_account, each), each.account.ig_account_id
        yield from _guarded(CheckedPart.ACCOUNTS, check, name=f"account {ig_account_id}", ig_account_id=ig_account_id)


def _account(found: Health) -> Iterator[Finding]:
    account = found.account
    finding = functools.partial(_of_account, account.ig_account_id)
    if not found.token.well:
        level = Level.WARNING if found.token.works else Level.ERROR
        fix = f"Reconnect it with `nametag account add --ig-account-id {account.ig_account_id} …`."
        yield finding("token", level, found.token.says, fix)
    if found.refused:
        message = f"Missing permissions: {', '.join(found.refused)}"
        yield finding("permissions", Level.ERROR, message, "Reconnect the account and grant all permissions.")
    yield from _subscription(found)
    if found.silent:
        message = "No webhooks for an unusually long time"
        yield finding("silent", Level.WARNING, message, "Check the webhook's callback URL in Meta's App Dashboard.")
    if account.lookup_problem:
        fix = "Nametag tries again at least once an hour and resumes automatically."
        yield finding("lookups", Level.ERROR, account.lookup_problem, fix)
    stop = circuit_breaker.current_block(account.id)
    if stop:
        message = f"API calls paused until {stop.until:%H:%M} UTC: {stop.reason}"
        yield finding("calls", Level.WARNING, message, "Calls resume automatically. Messages are still stored.")
    if found.well and not stop:
        again = "".join(f". {each.says}" for each in found.refusals)
        yield finding("connection", Level.OK, f"Connected{again}")


def _subscription(found: Health) -> Iterator[Finding]:
    known, check = found.subscription, f"`nametag account check {found.account.ig_account_id}`."
    finding = functools.partial(_of_account, found.account.ig_account_id)
    if known.error:
        fix = f"{known.remedy} Then run {check}" if known.problem else f"Run {check}"
        yield finding("subscription", Level.ERROR, known.error, fix)
    if known.warning:
        fix = f"If you need the field, subscribe the app to it in Meta's App Dashboard, then run {check}"
        yield finding("fields", Level.WARNING, known.warning, fix)


def _of_account(ig_account_id: str, what: str, level: Level, message: str, fix: str | None = None) -> Finding:
    key = f"{CheckedPart.ACCOUNTS}.{what}"
    return Finding(f"account {ig_account_id}", level, message, fix, key=key, ig_account_id=ig_account_id)


def _owner_requests(viewer: Viewer) -> Iterator[Finding]:
    number = owner_requests.count_open(viewer)
    if number:
        message = f"{text.plural(number, 'request')} of account owners match no account; Meta expects a result"
        fix = "Run `nametag account requests list`, then assign or close each request."
        yield Finding("owner requests", Level.WARNING, message, fix, key="owner_requests.open")


def _dead_letters(viewer: Viewer) -> Iterator[Finding]:
    number = dead_letters.count(viewer)
    announced = dead_letters.count(viewer, LetterFilter(dead_letters.UNRESOLVED))
    fix = "Run `nametag dead-letters list`, then replay or discard them."
    if number > announced:
        message = f"{number - announced} not processed"
        yield Finding("dead letters", Level.WARNING, message, fix, key="dead_letters.open")
    if announced:
        message = f"{announced} announced by Instagram and never delivered"
        yield Finding("unresolved messages", Level.WARNING, message, fix, key="dead_letters.unresolved")
    if not number:
        yield Finding("dead letters", Level.OK, "None", key="dead_letters.open")


def _waiting() -> Iterator[Finding]:
    late = resolve.accounts_due(clock.now() - LONG_WAIT, live=True)
    if late:
        accounts = text.plural(len(late), "account")
        message = f"Contacts in {accounts} have waited over a minute for a lookup that no worker has taken"
        fix = f"Check that `nametag worker --queue {queue.TASKS[queue.RESOLVE].queue}` runs and reaches Redis."
        yield Finding("lookups", Level.WARNING, message, fix, key="lookups.waiting")
    else:
        yield Finding("lookups", Level.OK, "No contacts waiting", key="lookups.waiting")


def _jobs(viewer: Viewer) -> Iterator[Finding]:
    for job in failures.failed_jobs(viewer):
        message = f"{job.title} resolved none of {text.plural(job.planned, 'contact')} (job {job.run_id})"
        fix = "Open the job on the Jobs page: it shows the reasons. Then retry it, or start a new one."
        name, ours = f"account {job.ig_account_id}", job.ig_account_id
        yield Finding(name, Level.WARNING, message, fix, key="jobs.failed", ig_account_id=ours)


def _naming(viewer: Viewer) -> Iterator[Finding]:
    since = clock.now() - service_levels.RECENT
    for account in listing.accounts(viewer):
        finding = functools.partial(Finding, f"account {account.ig_account_id}", Level.WARNING)
        late = [each.says for each in service_levels.service_levels(account.id, since) if each.missed]
        if late:
            message = f"Too few new contacts of the last 24 hours were named in time: {'; '.join(late)}"
            fix = "See Insights for the times and the reasons, and check workers and the API call budget."
            yield finding(message, fix, key="naming.slow", ig_account_id=account.ig_account_id)
        moved = service_levels.moved_reasons(account.id)
        if moved:
            changes = (f"{each.reason} {each.percent:.0f}% (before: {each.usual_percent:.0f}%)" for each in moved)
            message = f"The reasons for missing names have changed: {', '.join(changes)}"
            fix = "See the reasons on Insights, and check whether Meta has changed or withdrawn something."
            yield finding(message, fix, key="naming.reasons", ig_account_id=account.ig_account_id)


def _alert_receivers(viewer: Viewer) -> Iterator[Finding]:
    troubled = receivers.troubled() if viewer.sees_all else ()
    if troubled:
        message = "; ".join(f"Alert receiver {receiver_id} is {why}" for receiver_id, why in troubled)
        fix = "Solve the problem and run `nametag alert receivers test`, or remove the receiver."
        yield Finding("alert receivers", Level.WARNING, message, fix, key="alert_receivers.troubled")
