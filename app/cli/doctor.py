"""Health checks: `nametag doctor` runs them, `nametag health` shows what the scheduler found."""

from collections.abc import Iterable

import click

from app import clock, doctor, findings
from app.cli import output
from app.findings import UNKNOWN, Finding, KnownFinding, Level
from app.viewer import OPERATOR

MARKS = {Level.OK: "ok     ", Level.WARNING: "warning", Level.ERROR: "ERROR  "}


@click.command("doctor")
@output.as_json
@output.in_app
def check(as_json: bool) -> None:
    """Check the installation and suggest fixes. Exit status 1 if a check fails."""
    found = doctor.examine(OPERATOR)
    if as_json:
        output.show(found)
    else:
        _say(found)
    _exit(findings.worst(found).value)


@click.command()
@output.as_json
@output.in_app
def health(as_json: bool) -> None:
    """Show what the scheduler's last health checks found. Exit status 1 for an error or outdated checks."""
    report = findings.report(OPERATOR)
    if as_json:
        output.show(report)
    else:
        if report.checked_at:
            output.say(f"Checked at {clock.rfc3339(report.checked_at)}")
        if report.notice:
            output.say(report.notice)
        _say(report.findings)
    _exit(report.state)


def _say(found: Iterable[Finding]) -> None:
    for finding in found:
        since = f" (since {clock.rfc3339(finding.since)})" if isinstance(finding, KnownFinding) else ""
        output.say(f"{MARKS.get(finding.level, MARKS[Level.ERROR])}  {finding.check}: {finding.message}{since}")
        if finding.fix:
            output.say(f"         {finding.fix}")


def _exit(state: str) -> None:
    if state in (Level.ERROR, UNKNOWN):
        raise click.exceptions.Exit(output.FAILED)
