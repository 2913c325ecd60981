"""Dependencies are installed as locked, and known vulnerabilities of them are reported."""

import base64
import hashlib
import importlib.util
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock")
VULNERABLE = {"name": "flask", "version": "1.0", "vulns": [{"id": "CVE-2023-30861", "fix_versions": ["2.3.2"]}]}
SAFE: dict[str, Any] = {"name": "flask", "version": "3.1.3", "vulns": []}
SKIPPED = {"name": "flask", "skip_reason": "Dependency not found on PyPI and could not be audited"}


@pytest.mark.parametrize("name", LOCKS)
def test_every_dependency_is_pinned_with_a_hash(name: str) -> None:
    blocks = re.split(r"\n(?=\S)", (ROOT / name).read_text().strip())
    pinned = [block for block in blocks if not block.startswith("#")]
    assert len(pinned) > 20
    assert [block for block in pinned if "==" not in block or "--hash=sha256:" not in block] == []
    assert f"--require-hashes -r {name}" in (ROOT / "Makefile").read_text()


def test_a_wheel_that_was_tampered_with_is_not_installed(tmp_path: Path) -> None:
    wheel = a_wheel(tmp_path / "nt_tiny-1.0-py3-none-any.whl", "MARK = 1\n")
    lock = tmp_path / "lock"
    lock.write_text(f"nt-tiny==1.0 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n")
    assert install(lock, tmp_path / "first").returncode == 0
    a_wheel(wheel, "MARK = 2\n")
    refused = install(lock, tmp_path / "second")
    assert refused.returncode != 0
    assert "DO NOT MATCH THE HASHES" in refused.stderr
    assert not (tmp_path / "second").exists()


@pytest.mark.parametrize(
    ("report", "line", "safe"),
    [
        ([SAFE, SAFE], "Dependencies: no known vulnerabilities in 2 packages.", True),
        ([SAFE, VULNERABLE], "flask 1.0: CVE-2023-30861, fixed in 2.3.2", False),
        ([SKIPPED, VULNERABLE], "flask 1.0: CVE-2023-30861, fixed in 2.3.2", False),
        ([SAFE, SKIPPED], "Dependencies: not audited, can't reach the advisories.", None),
        (None, "Dependencies: not audited, can't reach the advisories.", None),
    ],
)
def test_a_dependency_that_was_not_audited_is_not_called_safe(
    report: list[dict[str, Any]] | None, line: str, safe: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    audit = _audit()
    assert audit.summarize(report) == ([line], safe)
    monkeypatch.setattr(audit, "fetch_report", lambda: report)
    assert (audit.main(), audit.main("--release")) == {True: (0, 0), False: (1, 1), None: (0, 1)}[safe]


def test_lint_audits_the_dependencies_and_a_release_requires_it() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(r"^lint:.*\n(?:\t.*\n)*\t.*audit\.py$", makefile, re.MULTILINE)
    assert "audit.py --release" in makefile


def a_wheel(path: Path, code: str) -> Path:
    """Write a wheel of one module with `code`."""
    about = "nt_tiny-1.0.dist-info"
    files = {
        "nt_tiny.py": code,
        f"{about}/METADATA": "Metadata-Version: 2.1\nName: nt-tiny\nVersion: 1.0\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    listed = "".join(f"{name},sha256={_digest(held)},{len(held)}\n" for name, held in files.items())
    with zipfile.ZipFile(path, "w") as archive:
        for name, held in (files | {f"{about}/RECORD": f"{listed}{about}/RECORD,,\n"}).items():
            archive.writestr(name, held)
    return path


def install(lock: Path, target: Path) -> subprocess.CompletedProcess[str]:
    """Install the packages of `lock` from the wheels beside it, as the Makefile does."""
    options = ("--no-index", "--find-links", str(lock.parent), "--no-cache-dir", "--target", str(target))
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(lock), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=50)


def _digest(held: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(held.encode()).digest()).rstrip(b"=").decode()


def _audit() -> Any:
    spec = importlib.util.spec_from_file_location("audit", ROOT / ".ci" / "audit.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
