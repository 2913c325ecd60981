"""Output of the commands: lines, tables and JSON; and the app context that commands run in."""

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
_API_NAMES = {"ig_account_id": "accountId", "ig_participant_id": "participantPlatformId"}

Parameters = ParamSpec("Parameters")

ROW_ID = click.IntRange(1, 2**63 - 1)  # an ID of ours

as_json = click.option("--json", "as_json", is_flag=True, help="Output JSON.")


def in_app(command: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """Run a command inside the app context, so that it can use the database."""

    @functools.wraps(command)
    def inside(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        with core.app_context():
            command(*args, **kwargs)

    return inside


def say(line: str) -> None:
    """Print one line. Escapes characters that a terminal could act upon."""
    click.echo(text.for_terminal(line))


def show(value: Any) -> None:
    """Print dataclasses, dictionaries or lists as JSON, with the names and formats of the API; never a secret."""
    click.echo(json.dumps(plain(value), indent=2))


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print rows as a table with the column titles `heads`, or the line `empty` when there are none."""
    lines = [tuple(text.for_terminal(_text(value)) for value in row) for row in rows]
    if not lines:
        click.echo(empty)
        return
    lines.insert(0, tuple(heads))
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    for line in lines:
        click.echo("  ".join(value.ljust(width) for value, width in zip(line, widths, strict=True)).rstrip())


def facts(pairs: Iterable[tuple[str, object]]) -> None:
    """Print one line per name and value. Leaves out values that are None."""
    known = [(name, value) for name, value in pairs if value is not None]
    width = max((len(name) for name, _ in known), default=0)
    for name, value in known:
        say(f"{name.ljust(width)}  {_text(value)}")


def secret_from_stdin(what: str) -> str:
    """Return a secret from standard input, without the final line break. Asks without echo in a terminal."""
    if sys.stdin.isatty():
        typed: str = click.prompt(what, hide_input=True)
        return typed
    return sys.stdin.read().removesuffix("\n").removesuffix("\r")


def plain(value: Any) -> Any:
    """Return `value` as JSON types: dataclasses with the API's names, IDs as strings, times in RFC 3339."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value) if field.name not in SECRET_FIELDS]
        pairs = ((_api_name(name), plain(getattr(value, name))) for name in names)
        return {name: str(found) if name == "id" else found for name, found in pairs}
    if isinstance(value, dict):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(each) for each in value]
    return clock.rfc3339(value) if isinstance(value, datetime) else value


def _api_name(field: str) -> str:
    return _API_NAMES.get(field) or text.camel_case(field)


def _text(value: object) -> str:
    if value is None:
        return "-"
    return clock.rfc3339(value) if isinstance(value, datetime) else str(value)
