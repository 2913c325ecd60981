"""Helpers for tests of commands: run one in this process, on the database of the test."""

from click.testing import CliRunner, Result

from app.cli.main import main


def nametag(*arguments: str, answer: str = "") -> Result:
    """Run `nametag …` with `answer` as standard input. The result has exit status, output and errors."""
    return CliRunner().invoke(main, arguments, input=answer)


def refused(result: Result, *, status: int) -> str:
    """Assert that a command failed with one line and no other output. Return the line."""
    assert result.exit_code == status, result.output
    assert result.stdout == ""
    line, _, rest = result.stderr.partition("\n")
    assert rest == ""
    return line
