"""Are vulnerabilities known of what we install? Exit 1 when one is; with --release also when nobody could be asked.

Advisories come from PyPI. Where it cannot be reached the answer is "not audited", which pip-audit alone would call a
success (reliability.md M24): a build may go on then, a release may not.
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
    """Ask, say what was found in one line or more, and return the exit status."""
    lines, kept = judged(_report())
    for line in lines:
        print(line)
    return 0 if kept or (kept is None and "--release" not in options) else 1


def judged(report: list[dict[str, Any]] | None) -> tuple[list[str], bool | None]:
    """Return what to say of a report of pip-audit's, and whether all is well; None when that is not known."""
    known = [(each, flaw) for each in report or () for flaw in each.get("vulns", ())]
    if known:
        return [_line(each, flaw) for each, flaw in known], False
    if not report or any("skip_reason" in each for each in report):
        return ["Dependencies: not audited, advisories cannot be reached."], None
    return [f"Dependencies: nothing is known against any of the {len(report)}."], True


def _report() -> list[dict[str, Any]] | None:
    command = [str(Path(sys.executable).with_name("pip-audit")), *COMMAND, "--requirement", str(LOCK)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)  # noqa: S603 - ours
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (OSError, subprocess.TimeoutExpired, ValueError, KeyError):
        return None
    return found


def _line(each: dict[str, Any], flaw: dict[str, Any]) -> str:
    better = ", ".join(flaw.get("fix_versions", ())) or "no version yet"
    return f"{each['name']} {each['version']}: {flaw['id']}, mended in {better}"


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
