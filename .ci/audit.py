"""Report known vulnerabilities of the locked dependencies. Exit 1 if there are any; with --release also if unknown.

Advisories come from PyPI. If it cannot be reached, the result is "not audited", which pip-audit alone reports as a
success. A build may continue then, a release may not.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

SECONDS = 30
LOCK = Path(__file__).resolve().parents[1] / "requirements.lock"
COMMAND = ("--require-hashes", "--disable-pip", "--format", "json", "--progress-spinner", "off", "--timeout", "5")


def main(*options: str) -> int:
    """Print the result in one line or more, and return the exit status."""
    lines, kept = lines_of(fetch_report())
    for line in lines:
        print(line)
    return 0 if kept or (kept is None and "--release" not in options) else 1


def lines_of(report: list[dict[str, Any]] | None) -> tuple[list[str], bool | None]:
    """Return the lines for a report of pip-audit, and whether there is no vulnerability; None if that is unknown."""
    known = [(each, flaw) for each in report or () for flaw in each.get("vulns", ())]
    if known:
        return [_line(each, flaw) for each, flaw in known], False
    if not report or any("skip_reason" in each for each in report):
        return ["Dependencies: not audited. Can't reach the advisories on PyPI."], None
    return [f"Dependencies: no known vulnerability in any of the {len(report)}."], True


def fetch_report() -> list[dict[str, Any]] | None:
    command = [str(Path(sys.executable).with_name("pip-audit")), *COMMAND, "--requirement", str(LOCK)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)  # noqa: S603 - ours
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError):
        return None
    return found


def _line(each: dict[str, Any], flaw: dict[str, Any]) -> str:
    better = ", ".join(flaw.get("fix_versions", ())) or "no version yet"
    return f"{each['name']} {each['version']}: {flaw['id']}, fixed in {better}"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
