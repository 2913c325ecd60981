"""The `nametag` command in processes that commit and report no change to polls, as if about to be killed in between."""

from collections.abc import Iterable

from app import versions
from app.cli.main import main

report = versions.bump


def report_starts_alone(changes: Iterable[versions.Change]) -> None:
    """Report what does not come from a commit."""
    report(each for each in changes if each == versions.EVERY_ACCOUNT)


if __name__ == "__main__":
    versions.bump = report_starts_alone
    main()
