"""What tests of commands share: running one inside this process, on the database of the test."""

from click.testing import CliRunner, Result

from app.cli.main import main


def nametag(*arguments: str, answer: str = "") -> Result:
    """Run `nametag …` with `answer` on its standard input; the result holds status, output and errors apart."""
    return CliRunner().invoke(main, arguments, input=answer)


def refused(result: Result, *, status: int) -> str:
    """Return the one line with which a command refused; nothing else was printed."""
    assert result.exit_code == status, result.output
    assert result.stdout == ""
    line, _, rest = result.stderr.partition("\n")
    assert rest == ""
    return line
