"""`nametag`: help of every command, and errors as one line with an exit status."""

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from flask import Flask

from app import clock, settings
from app.cli.main import main
from app.db import transaction
from app.identities import export, observations
from app.identities.observations import ProfileObservation
from app.models.identity import Source
from app.models.run import RunKind
from app.runs import lifecycle
from app.viewer import OPERATOR
from tests.cli.commands import nametag, refused
from tests.factories import LEA, an_account
from tests.support.processes import ROOT, Processes


def commands(group: click.Group = main, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        assert command.name == name
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


EVERY = dict(commands())


def test_a_command_loads_what_it_needs_and_not_the_web_server() -> None:
    code = "import sys; from app.cli.main import main; main(['jobs', '--help'], standalone_mode=False)"
    code += "; print(*sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(answer.stdout.split())
    assert "app.cli.jobs" in loaded
    assert not {"app.factory", "app.web", "app.api", "app.cli.up", "gunicorn"} & loaded


@pytest.mark.parametrize("path", [path for path in EVERY if path != ("sandbox",)], ids=" ".join)
def test_help_is_everywhere_and_starts_nothing(path: tuple[str, ...]) -> None:
    answer = nametag(*path, "--help")
    assert answer.exit_code == 0
    assert answer.stdout.startswith("Usage: ")


def test_the_sandbox_s_help_is_its_own(processes: Processes) -> None:
    answer = processes.nametag("sandbox", "--help")
    assert (answer.returncode, "--webhook-url" in answer.stdout) == (0, True)


@pytest.mark.parametrize("path", [path for path in EVERY if path[-1] in ("list", "show", "check")], ids=" ".join)
def test_whatever_lists_or_shows_speaks_json(path: tuple[str, ...]) -> None:
    assert "--json" in nametag(*path, "--help").stdout


def test_no_command_takes_a_secret_as_an_argument() -> None:
    for path, command in EVERY.items():
        for parameter in command.params:
            words = {"password", "token", "secret"} & set((parameter.name or "").split("_"))
            assert not words or getattr(parameter, "is_flag", False), (path, parameter.name)


@pytest.mark.parametrize("arguments", [("nonsense",), ("jobs", "nonsense"), ("--nonsense",), ("jobs", "list", "--odd")])
def test_a_mistyped_command_is_misuse(arguments: tuple[str, ...]) -> None:
    answer = nametag(*arguments)
    assert (answer.exit_code, answer.stdout) == (2, "")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("variables", [{"PYTHONIOENCODING": "latin-1"}, {"PYTHONUTF8": "0", "LC_ALL": "C"}], ids=str)
def test_a_terminal_without_utf_8_gets_the_whole_output(
    app: Flask, processes: Processes, variables: dict[str, str]
) -> None:
    processes.share(settings.current())
    account = an_account(username="atelier 😀")
    with transaction.write() as tx:
        observations.record(tx, account.id, ProfileObservation(LEA, None, "Zoë 😀", None, Source.PROFILE, clock.now()))
    lifecycle.start(OPERATOR, account.id, kind=RunKind.REFRESH)
    listed = processes.nametag("jobs", "list", **variables)
    assert (listed.returncode, listed.stderr) == (0, "")
    assert "atelier 😀" in listed.stdout or "atelier \\U0001f600" in listed.stdout
    exported = processes.nametag("identities", "export", **variables)
    assert (exported.returncode, exported.stderr, "Zoë 😀" in exported.stdout) == (0, "", True)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_reader_that_closes_its_pipe_early_causes_no_traceback(app: Flask, processes: Processes) -> None:
    processes.share(settings.current())
    account = an_account()
    people = (str(1520000000100000 + number) for number in range(3 * export.LINES))
    with transaction.write() as tx:
        for person in people:
            observations.record(
                tx, account.id, ProfileObservation(person, None, "Léa", None, Source.PROFILE, clock.now())
            )
    command = f"{sys.executable} -m app.cli.main identities export | head -1"
    answer = subprocess.run(
        ["sh", "-c", command], env=processes.environment(), cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert answer.stdout.startswith("\ufeffaccountId,")
    assert answer.stderr == ""


def test_something_of_ours_that_is_not_there_is_one_line(app: Flask) -> None:
    assert "job" in refused(nametag("jobs", "show", "0123456789ab"), status=1)


def test_a_broken_setting_is_one_line_that_names_it(processes: Processes) -> None:
    answer = processes.nametag("jobs", "list", GRAPH_CALLS_PER_HOUR="many")
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr.count("\n") == 1
    assert "GRAPH_CALLS_PER_HOUR" in answer.stderr


def test_a_database_that_is_away_is_one_line_without_its_password(app: Flask) -> None:
    with settings.using(database_url="postgresql+psycopg://nametag:hidden@127.0.0.1:1/nametag"):
        line = refused(nametag("jobs", "list"), status=1)
    assert "database" in line
    assert "hidden" not in line
