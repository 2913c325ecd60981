"""`nametag doctor`: what is wrong, and how to mend it."""

import click

from app import doctor
from app.cli import output
from app.doctor import Level
from app.viewer import OPERATOR

MARKS = {Level.WELL: "ok     ", Level.WARNING: "warning", Level.WRONG: "WRONG  "}


@click.command("doctor")
@output.as_json
@output.in_app
def check(as_json: bool) -> None:
    """Check every part and say what is wrong and how to mend it; exit 1 if anything is."""
    findings = doctor.examine(OPERATOR)
    if as_json:
        output.show(findings)
    else:
        for finding in findings:
            output.say(f"{MARKS[finding.level]}  {finding.part}: {finding.says}")
            if finding.mend:
                output.say(f"         {finding.mend}")
    if any(finding.level is Level.WRONG for finding in findings):
        raise click.exceptions.Exit(output.FAILED)
