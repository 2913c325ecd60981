"""Redis of hosting providers: restricted users, clusters, failover, TLS, latency. Real servers behind a forwarder."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path

import pytest
from redis import Redis

from app import clock, doctor, queue, redis_checks, redis_client, settings
from app.calls import budget, circuit_breaker
from app.factory import create_app
from app.findings import Finding, Level
from app.models.account import AccountState
from app.models.call import Purpose
from app.redis_client import RedisUnavailable
from app.viewer import OPERATOR, Role
from tests.factories import an_account
from tests.support import certificates, databases, hosted_redis, worker_tasks
from tests.support.hosted_redis import HOST
from tests.support.processes import Process, Processes, free_port
from tests.support.waiting import until
from tests.support.web_client import WebClient
from tests.web.browsing import signed_in

RECOVERY_SECONDS = 10.0
Using = Callable[[str], AbstractContextManager[settings.Settings]]


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """The port of a Redis server without password or TLS."""
    with hosted_redis.server(tmp_path / "redis") as port:
        yield port


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A folder with a certificate that no authority signed."""
    certificates.self_signed(tmp_path)
    return tmp_path


@pytest.fixture
def using(sqlite_database: str, tmp_path: Path) -> Using:
    """Uses an empty database and the Redis at this URL."""
    return lambda url: settings.using(database_url=sqlite_database, nametag_data_dir=tmp_path, redis_url=url)


@pytest.fixture
def start_worker(processes: Processes, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Process]:
    """Starts a worker of the test tasks with the current settings."""
    for name, task in worker_tasks.TASKS.items():
        monkeypatch.setitem(queue.TASKS, name, task)

    def start() -> Process:
        processes.share(settings.current())
        worker = processes.module("tests.support.worker_tasks", worker_tasks.QUEUE)
        worker.await_line("worker started")
        return worker

    return start


def redis_findings() -> list[Finding]:
    return [found for found in doctor.examine(OPERATOR) if found.check == "redis"]


def ran(port: int) -> int:
    with Redis(port=port) as redis:
        return int(redis.llen("ran"))


def allow(port: int, *rules: str) -> str:
    """Create a user with `rules`; return the URL that signs in as that user."""
    password = secrets.token_hex(8)
    with Redis(port=port) as redis:
        redis.execute_command("ACL", "SETUSER", "nametag", "reset", "on", f">{password}", "resetchannels", *rules)
    return f"redis://nametag:{password}@{HOST}:{port}/0"


OUR_KEYS = tuple(f"~{prefix}*" for prefix in redis_checks.OUR_KEYS)
OUR_COMMANDS = sorted({
    "+script|load" if command.startswith("SCRIPT") else f"+{command.split()[0].lower()}"
    for command in redis_checks.COMMANDS
})  # fmt: skip
DOCUMENTED = ("+@all", "-@dangerous", "+info")


def test_a_key_that_the_host_keeps_is_accepted(redis: Redis) -> None:
    redis.set("ElastiCacheMasterReplicationTimestamp", 1700000000)
    redis_checks.require_ours()


@pytest.mark.parametrize("rules", [("-@all", *OUR_COMMANDS), DOCUMENTED], ids=["exactly ours", "documented"])
def test_everything_works_for_a_user_with_the_permissions_that_are_listed(
    port: int, using: Using, start_worker: Callable[[], Process], rules: tuple[str, ...]
) -> None:
    with using(allow(port, *rules, *OUR_KEYS, "~ran")), databases.app_context_of(create_app()) as app:
        app.test_client_class = WebClient
        worker = start_worker()
        assert queue.enqueue("run", 1, job_id="first")
        until(lambda: ran(port) == 1, "the task ran")
        browser = signed_in(app, Role.OPS)
        for path in ("/inbox", "/admin/queues/", "/admin/queues/0/view/jobs", "/admin/queues/0/data/queues.json"):
            assert browser.get(path).status_code == 200
        account = an_account()
        budget.spend(account.id, call=budget.PROFILE, purpose=Purpose.LIVE)
        circuit_breaker.check(account.id, state=AccountState.CONNECTED, state_reason=None)
        with Redis(port=port) as redis:
            redis.delete("ran")
        assert {found.level for found in redis_findings()} == {Level.OK, Level.WARNING}
        with Redis(port=port) as redis:
            denied = {entry["object"] for entry in redis.acl_log()}
        assert denied <= {"config|get", "client|setinfo"}  # neither is needed
        assert worker.end() == 0
        assert "Traceback" not in worker.output()
        assert "not supported" not in worker.output()


@pytest.mark.parametrize(
    ("command", "rules", "sentence"),
    [
        ("worker", ("+@all", "-@dangerous", *OUR_KEYS), "must be allowed to run INFO. See docs/redis.md."),
        ("web", ("+@all", "-@scripting", *OUR_KEYS), "must be allowed to run EVAL. See docs/redis.md."),
        ("web", ("+@all", "~nametag:*"), "must be allowed to run SET on the keys rq:*. See docs/redis.md."),
    ],
)
def test_a_missing_permission_ends_the_start_and_is_named(
    port: int, using: Using, processes: Processes, command: str, rules: tuple[str, ...], sentence: str
) -> None:
    with using(allow(port, *rules)) as chosen:
        processes.share(chosen)
        refused = processes.nametag(command)
        assert (refused.returncode, refused.stderr) == (1, f"Error: The Redis user in REDIS_URL {sentence}\n")
        with databases.app_context_of(create_app()):
            assert [(found.level, sentence in found.message) for found in redis_findings()] == [(Level.ERROR, True)]


def test_a_permission_that_a_running_worker_loses_is_named_and_it_resumes(
    port: int, using: Using, start_worker: Callable[[], Process]
) -> None:
    with using(allow(port, "+@all", *OUR_KEYS, "~ran")):
        worker = start_worker()
        with Redis(port=port) as redis:
            redis.execute_command("ACL", "SETUSER", "nametag", "-blmove")
            redis.client_kill_filter(user="nametag")
            worker.await_line("must be allowed to run BLMOVE")
            redis.execute_command("ACL", "SETUSER", "nametag", "+blmove")
        queue.enqueue("run", 1)
        until(lambda: ran(port) == 1, "the task ran", RECOVERY_SECONDS)


def test_cluster_mode_is_refused_and_named(tmp_path: Path, using: Using, processes: Processes) -> None:
    sentence = "REDIS_URL points to a Redis in cluster mode. Use one with cluster mode disabled."
    bus = ("--cluster-port", str(free_port()))  # else 10,000 above the other one, which may be too high
    with hosted_redis.server(tmp_path / "cluster", "--cluster-enabled", "yes", *bus) as port:
        with Redis(port=port) as redis:
            redis.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        with using(f"redis://{HOST}:{port}/0") as chosen:
            processes.share(chosen)
            refused = processes.nametag("worker")
            assert (refused.returncode, refused.stderr) == (1, f"Error: {sentence}\n")
            with databases.app_context_of(create_app()):
                assert [found.message for found in redis_findings()] == [sentence]


def test_a_configuration_that_the_host_hides_is_a_warning(tmp_path: Path, using: Using) -> None:
    with (
        hosted_redis.server(tmp_path / "managed", "--rename-command", "CONFIG", "") as port,
        using(f"redis://{HOST}:{port}/0"),
        databases.app_context_of(create_app()),
    ):
        assert [found.level for found in redis_findings()] == [Level.OK, Level.WARNING]
        with Redis(port=port) as redis:
            assert redis.info("memory")["maxmemory_policy"] == "noeviction"


def test_a_read_only_replica_is_wrong(tmp_path: Path, port: int, using: Using) -> None:
    with (
        hosted_redis.server(tmp_path / "replica", "--replicaof", f"{HOST} {port}") as replica,
        using(f"redis://{HOST}:{replica}/0"),
        databases.app_context_of(create_app()),
    ):
        assert redis_findings()[0].message == "It is a read-only replica"


def test_writes_and_tasks_go_to_the_new_primary_after_a_failover(
    tmp_path: Path, port: int, using: Using, start_worker: Callable[[], Process]
) -> None:
    with (
        hosted_redis.server(tmp_path / "other", "--replicaof", f"{HOST} {port}") as other,
        hosted_redis.forwarder(port) as forwarding,
        using(f"redis://{HOST}:{forwarding.port}/0"),
    ):
        start_worker()
        assert queue.enqueue("run", 1)
        until(lambda: ran(other) == 1, "the task ran and was replicated")
        with Redis(port=other) as promoted, Redis(port=port) as demoted:
            promoted.replicaof("NO", "ONE")
            forwarding.target = other
            demoted.replicaof(HOST, str(other))
            assert not queue.enqueue("run", 2)  # the old connection leads to the demoted server
        assert queue.enqueue("run", 3)
        until(lambda: ran(other) == 2, "the task ran on the new primary", RECOVERY_SECONDS)


def test_a_script_and_a_transaction_drop_the_connection_to_a_demoted_primary_too(
    tmp_path: Path, port: int, using: Using
) -> None:
    with (
        hosted_redis.server(tmp_path / "other") as other,
        hosted_redis.forwarder(port) as forwarding,
        using(f"redis://{HOST}:{forwarding.port}/0"),
        Redis(port=port) as demoted,
    ):
        client = redis_client.client()

        def transaction() -> None:
            with client.pipeline() as pipeline:
                pipeline.set("nametag:any", 1)
                pipeline.execute()

        for write in (partial(client.eval, "return redis.call('SET', KEYS[1], 1)", 1, "nametag:any"), transaction):
            forwarding.target = port
            client.connection_pool.disconnect()
            write()
            demoted.replicaof(HOST, str(other))
            forwarding.target = other
            with pytest.raises(RedisUnavailable):
                write()
            write()
            demoted.replicaof("NO", "ONE")


def test_a_worker_resumes_after_a_network_that_swallowed_its_connection(
    port: int, using: Using, start_worker: Callable[[], Process]
) -> None:
    with hosted_redis.forwarder(port) as forwarding, using(f"redis://{HOST}:{forwarding.port}/0"):
        worker = start_worker()
        forwarding.target = None
        forwarding.cut_off()
        worker.await_line("worker paused: can't use Redis")
        forwarding.target = port
        until(lambda: queue.enqueue("run", 1), "the task is enqueued", 5)
        until(lambda: ran(port) == 1, "the task ran", RECOVERY_SECONDS)


def test_an_untrusted_certificate_is_named_and_its_remedies_work(
    port: int, certificate: Path, using: Using, start_worker: Callable[[], Process]
) -> None:
    with hosted_redis.forwarder(port, certificate=certificate) as forwarding:
        url = f"rediss://{HOST}:{forwarding.port}/0"
        with using(url), databases.app_context_of(create_app()):
            (finding,) = redis_findings()
            assert finding.message == "Its TLS certificate is not trusted: self-signed certificate"
            assert "ssl_ca_certs" in (finding.fix or "")
        for number, option in enumerate(("ssl_cert_reqs=none", f"ssl_ca_certs={certificate / 'fullchain.pem'}"), 1):
            with using(f"{url}?{option}"), databases.app_context_of(create_app()) as app:
                app.test_client_class = WebClient
                worker = start_worker()
                assert queue.enqueue("run", number)
                until(lambda count=number: ran(port) == count, "the task ran")  # type: ignore[misc]  # bound here
                assert (
                    signed_in(app, Role.OPS, email=f"ops{number}@example.com").get("/admin/queues/").status_code == 200
                )
                assert worker.end() == 0


def test_a_mistaken_scheme_is_named(port: int, certificate: Path, using: Using) -> None:
    with using(f"rediss://{HOST}:{port}/0"), databases.app_context_of(create_app()):
        assert "rediss:// needs a port with TLS" in (redis_findings()[0].fix or "")
    with (
        hosted_redis.forwarder(port, certificate=certificate) as forwarding,
        using(f"redis://{HOST}:{forwarding.port}/0"),
        databases.app_context_of(create_app()),
    ):
        assert "a port with TLS needs rediss://" in (redis_findings()[0].fix or "")


def test_a_wrong_password_is_named(port: int, using: Using) -> None:
    with using(f"redis://:wrong@{HOST}:{port}/0"), Redis(port=port) as redis, databases.app_context_of(create_app()):
        redis.config_set("requirepass", "right")
        assert redis_findings()[0].message == "It refuses the user name or password"


def test_a_redis_that_needs_350_ms_for_a_tls_handshake_is_used(
    port: int, certificate: Path, using: Using, start_worker: Callable[[], Process]
) -> None:
    with (
        hosted_redis.forwarder(port, certificate=certificate) as tls,
        hosted_redis.forwarder(tls.port, delay_seconds=0.35) as distant,
        using(f"rediss://{HOST}:{distant.port}/0?ssl_cert_reqs=none"),
    ):
        start_worker()
        assert queue.enqueue("run", 1)
        until(lambda: ran(port) == 1, "the task ran")


def test_a_redis_that_is_too_slow_costs_a_second_and_the_limits_are_named(port: int, using: Using) -> None:
    with hosted_redis.forwarder(port, delay_seconds=1.5) as slow:
        with using(f"redis://{HOST}:{slow.port}/0"), databases.app_context_of(create_app()):
            began = clock.monotonic()
            (finding,) = redis_findings()
            assert clock.monotonic() - began < 1.0
            assert finding.message.endswith("the limits are 1 s to connect and 0.5 s to answer")
        with using(f"redis://{HOST}:{slow.port}/0?socket_timeout=3"):
            assert redis_client.client().ping()
