"""The `nametag` command without change tokens, as if each process were killed right after its commit."""

from collections.abc import Iterable

from app import change_tokens
from app.cli.main import main

report = change_tokens.mark_changed


def report_starts_alone(changes: Iterable[change_tokens.Change]) -> None:
    """Report only changes that do not come from a commit."""
    report(each for each in changes if each == change_tokens.EVERY_ACCOUNT)


if __name__ == "__main__":
    change_tokens.mark_changed = report_starts_alone
    main()
