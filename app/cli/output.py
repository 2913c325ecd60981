"""What the commands share: the app's context around a command, and answers as lines, as a table or as JSON."""

import dataclasses
import functools
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, ParamSpec

import click

from app import clock, core, text

FAILED, MISUSE = 1, 2
SECRET_FIELDS = frozenset({"session_key", "password_hash", "token"})

Parameters = ParamSpec("Parameters")

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of lines for people.")


def in_app(command: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """Run a command's body inside the app, so that it may read and write."""

    @functools.wraps(command)
    def inside(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        with core.app_context():
            command(*args, **kwargs)

    return inside


def say(line: str) -> None:
    """Print one line; what a terminal could act upon is escaped."""
    click.echo(text.for_terminal(line))


def show(value: Any) -> None:
    """Print a dataclass, or a list of them, as JSON: ids as they are, times in RFC 3339, never a secret."""
    click.echo(json.dumps(plain(value), indent=2))


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print rows under their heads in columns as wide as they need; `empty` is said when there are none."""
    lines = [tuple(text.for_terminal(_word(value)) for value in row) for row in rows]
    if not lines:
        click.echo(empty)
        return
    lines.insert(0, tuple(heads))
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    for line in lines:
        click.echo("  ".join(value.ljust(width) for value, width in zip(line, widths, strict=True)).rstrip())


def facts(pairs: Iterable[tuple[str, object]]) -> None:
    """Print what is known of one thing, a line each; what is not known is left out."""
    known = [(name, value) for name, value in pairs if value is not None]
    width = max((len(name) for name, _ in known), default=0)
    for name, value in known:
        say(f"{name.ljust(width)}  {_word(value)}")


def secret_from_stdin(what: str) -> str:
    """Return a secret from standard input, without the line break at its end; typed secrets are not shown."""
    if sys.stdin.isatty():
        typed: str = click.prompt(what, hide_input=True)
        return typed
    return sys.stdin.read().removesuffix("\n").removesuffix("\r")


def plain(value: Any) -> Any:
    """Return `value` as JSON can carry it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value) if field.name not in SECRET_FIELDS]
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, dict):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    return clock.rfc3339(value) if isinstance(value, datetime) else value


def _word(value: object) -> str:
    if value is None:
        return "-"
    return clock.rfc3339(value) if isinstance(value, datetime) else str(value)
