"""`nametag doctor`: run the health checks and print problems with their fixes."""

import click

from app import doctor
from app.cli import output
from app.doctor import Level
from app.viewer import OPERATOR

MARKS = {Level.OK: "ok     ", Level.WARNING: "warning", Level.ERROR: "ERROR  "}


@click.command("doctor")
@output.as_json
@output.in_app
def check(as_json: bool) -> None:
    """Check the installation and suggest fixes. Exit status 1 if a check fails."""
    findings = doctor.examine(OPERATOR)
    if as_json:
        output.show(findings)
    else:
        for finding in findings:
            output.say(f"{MARKS[finding.level]}  {finding.check}: {finding.message}")
            if finding.fix:
                output.say(f"         {finding.fix}")
    if any(finding.level is Level.ERROR for finding in findings):
        raise click.exceptions.Exit(output.FAILED)
