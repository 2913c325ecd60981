"""A complete Nametag in processes of its own: web server, workers, scheduler, and the sandbox as Meta."""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, NullPool, Row, create_engine, text

from app import settings
from app.accounts import connect
from app.core import create_core
from app.queue import QUEUES
from app.supervisor import redis_server
from app.supervisor.processes import Program
from app.users import users
from app.viewer import OPERATOR, Role
from tests.support import databases
from tests.support.processes import Process, Processes, Sandbox, Web, free_port
from tests.support.waiting import until

EMAIL, PASSWORD = "ops@example.com", "a moonlit correct horse"


@dataclass
class Installation:
    """The running processes, and a database connection of the test."""

    processes: Processes
    sandbox: Sandbox
    web: Web
    database: Engine
    workers: dict[str, Process] = field(default_factory=dict)

    def start_worker(self, queue: str) -> Process:
        """Start a worker of this queue, in place of an earlier one that has ended."""
        self.workers[queue] = self.processes.worker(queue)
        return self.workers[queue]

    @property
    def app_secret(self) -> str:
        """The secret with which the sandbox signs deliveries."""
        return self.processes.variables["META_APP_SECRETS"].partition(",")[0]

    def rows(self, sql: str, **values: Any) -> Sequence[Row[Any]]:
        """Return the rows of a query."""
        with self.database.connect() as connection:
            return connection.execute(text(sql), values).all()

    def value(self, sql: str, **values: Any) -> Any:
        """Return the first column of the first row; None without a row."""
        found = self.rows(sql, **values)
        return found[0][0] if found else None

    def command(self, *arguments: str, answer: str = "") -> str:
        """Run a `nametag` command that must succeed; return what it printed."""
        done = self.processes.nametag(*arguments, answer=answer)
        assert done.returncode == 0, done.stderr
        return done.stdout


def started(
    processes: Processes, chosen: settings.Settings, *sandbox_options: str, queues: Sequence[str] = QUEUES
) -> Installation:
    """Start all processes on the database and Redis of `chosen`, with one worker for each of `queues`.

    Both accounts of the sandbox are connected, and a user with the role ops can sign in.
    """
    processes.share(chosen)
    port = free_port()
    sandbox = processes.sandbox(*sandbox_options, webhook_url=f"http://127.0.0.1:{port}/webhooks/instagram")
    processes.variables |= {
        "META_APP_SECRETS": ",".join(sandbox.get("secrets")["app_secrets"]),
        "MEDIA_HOSTS": sandbox.url.removeprefix("http://"),
    }
    connect_accounts(sandbox)  # before the web server answers: earlier deliveries would become dead letters
    database = create_engine(processes.variables["DATABASE_URL"], poolclass=NullPool)
    everything = Installation(processes, sandbox, processes.web(port=port), database)
    for queue in queues:
        everything.start_worker(queue)
    processes.scheduler()
    return everything


def connect_accounts(sandbox: Sandbox) -> None:
    """Connect the sandbox's accounts and add a user with the role ops.

    Accounts are not checked, so that no sync runs: contacts come from deliveries and jobs only.
    """
    with databases.app_context_of(create_core()):
        for account in sandbox.get("accounts"):
            connect.add(
                OPERATOR,
                account["id"],
                login=account["login"],
                token=account["token"],
                page_id=account["page_id"],
                own_ids=[account["own_igsid"]],
                username=account["username"],
                check=False,
            )
        users.add_user(OPERATOR, EMAIL, role=Role.OPS, password=PASSWORD)


@dataclass
class RedisServer:
    """A private Redis server that a test stops and restarts."""

    program: Program
    address: str
    popen: subprocess.Popen[bytes]

    def stop(self) -> None:
        """Stop the server as an operator does; its files stay."""
        self.popen.terminate()
        self.popen.wait(10)

    def start(self) -> None:
        """Restart the server on the same files."""
        self.popen = _spawn(self.program)
        until(self.program.ready, "Redis answers")


def redis_of(folder: Path) -> RedisServer:
    """Start a private Redis server on `folder`, whose path is short enough for a socket."""
    socket = settings.redis_socket_path(folder)
    program = redis_server.program(folder, socket)
    server = RedisServer(program, f"unix://{socket}?db=0", _spawn(program))
    until(program.ready, "Redis answers")
    return server


def _spawn(program: Program) -> subprocess.Popen[bytes]:
    assert shutil.which(program.argv[0])
    return subprocess.Popen(program.argv, stdout=subprocess.DEVNULL, pass_fds=program.kept_files)
