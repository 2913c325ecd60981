"""Check dependencies for known vulnerabilities. Exit status 1 if one has any; with --release also if not checked.

Advisories come from PyPI. If it can't be reached, the result is "not audited", which pip-audit alone would report as
success: a build may continue then, a release may not.
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
    """Print the result and return the exit status."""
    lines, clean = summarize(fetch_report())
    for line in lines:
        print(line)
    return 0 if clean or (clean is None and "--release" not in options) else 1


def summarize(report: list[dict[str, Any]] | None) -> tuple[list[str], bool | None]:
    """Return the lines for a report of pip-audit, and whether no vulnerability is known; None if not checked."""
    known = [(each, flaw) for each in report or () for flaw in each.get("vulns", ())]
    if known:
        return [_line(each, flaw) for each, flaw in known], False
    if not report or any("skip_reason" in each for each in report):
        return ["Dependencies: not audited, can't reach the advisories."], None
    return [f"Dependencies: no known vulnerabilities in {len(report)} packages."], True


def fetch_report() -> list[dict[str, Any]] | None:
    command = [str(Path(sys.executable).with_name("pip-audit")), *COMMAND, "--requirement", str(LOCK)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)  # noqa: S603 - fixed command
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError):
        return None
    return found


def _line(each: dict[str, Any], flaw: dict[str, Any]) -> str:
    fixed = ", ".join(flaw.get("fix_versions", ())) or "no version yet"
    return f"{each['name']} {each['version']}: {flaw['id']}, fixed in {fixed}"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
