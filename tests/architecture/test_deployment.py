"""The Dockerfile, compose.yaml and the systemd units agree with the code and with each other."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app import installation, queue
from app.cli.main import COMMANDS
from app.cli.processes import DRAIN_SECONDS
from app.queue import QUEUES
from app.settings import SECRETS, Settings
from tests.support import deployment
from tests.support.processes import ROOT, Processes
from tests.support.requirement import missing

LONGEST_TASK = max(task.timeout_seconds for task in queue.TASKS.values())
COMPOSE = deployment.compose()
OURS: dict[str, Any] = {
    name: service for name, service in COMPOSE["services"].items() if str(service["image"]).startswith("nametag:")
}
GUIDE = (ROOT / "docs" / "install.md").read_text()
UNITS = ("nametag-web.service", "nametag-worker@.service", "nametag-scheduler.service")


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    tool = shutil.which("systemd-analyze") or missing("there is no systemd-analyze")
    for name in UNITS:
        words = (deployment.UNITS / name).read_text()
        assert "/opt/nametag/bin/nametag " in words
        instance = name.replace("@", f"@{QUEUES[0]}")
        (tmp_path / instance).write_text(words.replace("/opt/nametag/bin/nametag", sys.executable))
    checked = subprocess.run(
        [tool, "verify", *tmp_path.iterdir()], capture_output=True, text=True, check=False, timeout=50
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_the_command_of_administrators_runs_as_the_units_do() -> None:
    command = (deployment.UNITS / "nametag").read_text()
    unit = deployment.unit(UNITS[0])
    variables = [pair for line in unit["Environment"] for pair in line.split()]
    assert [variable for variable in variables if f"--setenv={variable}" not in command] == []
    assert f"--property=EnvironmentFile={unit['EnvironmentFile'][0]}" in command
    assert f"--uid={unit['User'][0]}" in command
    assert os.access(deployment.UNITS / "nametag", os.X_OK)


@pytest.mark.parametrize(
    ("name", "least_seconds"), [("nametag-web.service", DRAIN_SECONDS), ("nametag-worker@.service", LONGEST_TASK)]
)
def test_systemd_waits_longer_for_a_stop_than_the_process_needs(name: str, least_seconds: float) -> None:
    unit = deployment.unit(name)
    assert deployment.seconds(unit["TimeoutStopSec"][0]) > least_seconds
    assert unit["KillMode"] == ["mixed"]  # a second SIGTERM would end a worker before its task


@pytest.mark.parametrize("name", UNITS)
def test_each_unit_starts_a_command_and_may_do_nothing_else(name: str) -> None:
    unit = deployment.unit(name)
    assert unit["ExecStart"][0].split()[1] in COMMANDS
    assert {"yes", "strict"} == {
        unit[key][0] for key in ("NoNewPrivileges", "ProtectSystem", "ProtectHome", "PrivateTmp", "PrivateDevices")
    }
    assert unit["CapabilityBoundingSet"] == [""]
    variables = dict(pair.split("=", 1) for line in unit["Environment"] for pair in line.split())
    assert {name.lower() for name in variables} <= set(Settings.model_fields)


def test_the_guide_starts_a_worker_of_each_queue() -> None:
    assert set(re.findall(r"nametag-worker@([\w-]+)", GUIDE)) == set(QUEUES)


def test_the_dockerfile_copies_what_its_ignore_file_lets_through() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for name in deployment.copied_files():
        assert (ROOT / name).exists()
        assert any(Path(each).is_relative_to(name) or Path(name).is_relative_to(each) for each in kept), name
    assert not kept & {".env", "instance", "secrets"}


def test_the_image_runs_without_root_and_pins_its_base() -> None:
    instructions = deployment.dockerfile()
    assert ("USER", f"{deployment.USER_ID}:{deployment.USER_ID}") in instructions
    [base] = [rest for name, rest in instructions if name == "ARG" and rest.startswith("BASE=")]
    assert re.fullmatch(r"BASE=python:\d+\.\d+\.\d+-slim-\w+(@sha256:[0-9a-f]{64})?", base)
    assert any("--require-hashes" in rest for name, rest in instructions if name == "RUN")
    assert {name.lower() for name in deployment.image_variables()} - {
        "path",
        "pythonunbuffered",
        "pythondontwritebytecode",
    } <= set(Settings.model_fields)


def test_compose_runs_each_of_our_processes_without_privileges() -> None:
    for name, service in OURS.items():
        assert service["read_only"] is True, name
        assert service["user"] == f"{deployment.USER_ID}:{deployment.USER_ID}"
        assert service["cap_drop"] == ["ALL"]
        assert service["command"][0] in COMMANDS
        assert service["image"] == f"nametag:{installation.VERSION}"
        known = set(Settings.model_fields) | {f"{secret}_FILE".lower() for secret in SECRETS}
        assert {variable.lower() for variable in service["environment"]} <= known


def test_compose_serves_each_queue_and_waits_for_its_tasks() -> None:
    workers = [service for service in OURS.values() if service["command"][0] == "worker"]
    assert {service["command"][-1] for service in workers} == set(QUEUES)
    assert all(deployment.seconds(service["stop_grace_period"]) > LONGEST_TASK for service in workers)
    assert deployment.seconds(OURS["web"]["stop_grace_period"]) > DRAIN_SECONDS


def test_compose_keeps_the_list_of_deletions_on_a_volume() -> None:
    assert OURS["scheduler"]["volumes"] == [f"data:{deployment.image_variables()['NAMETAG_DATA_DIR']}"]


def test_compose_migrates_once_before_anything_else_starts() -> None:
    assert OURS["migrate"]["command"] == ["db", "upgrade"]
    assert OURS["migrate"]["restart"] == "no"
    waiting = {"condition": "service_completed_successfully"}
    others = [service for name, service in OURS.items() if name != "migrate"]
    assert len(others) == 5
    assert all(service["depends_on"]["migrate"] == waiting for service in others)


def test_compose_names_only_what_it_defines() -> None:
    for name, service in COMPOSE["services"].items():
        assert re.search(r":\d+(\.\d+)+", service["image"]), name
        assert set(service.get("secrets", ())) <= set(COMPOSE["secrets"])
        assert set(service["networks"]) <= set(COMPOSE["networks"])
        assert set(service.get("depends_on", ())) <= set(COMPOSE["services"])
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert (ROOT / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]


def test_compose_keeps_redis_behind_a_password_and_never_evicts() -> None:
    redis = COMPOSE["services"]["redis"]
    command = redis["command"][-1]
    for words in ("requirepass", "/run/secrets/redis_password", "--appendonly yes", "--maxmemory-policy noeviction"):
        assert words in command
    assert redis["networks"] == ["inside"]
    assert COMPOSE["networks"]["inside"]["internal"] is True
    assert "ports" not in redis | COMPOSE["services"]["db"]


def test_the_generated_secrets_are_all_that_compose_needs(processes: Processes, tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    script = ROOT / "packaging" / "make-secrets"
    first = subprocess.run([script, folder], capture_output=True, text=True, check=True, timeout=20)
    assert "meta_app_secrets" in first.stdout
    (folder / "meta_app_secrets").write_text("0c3f5a7e9d1b2846f0a9c8e7d6b5a413\n")
    before = {path.name: path.read_text() for path in folder.iterdir()}
    again = subprocess.run([script, folder], capture_output=True, text=True, check=True, timeout=20)
    assert (again.stdout, {path.name: path.read_text() for path in folder.iterdir()}) == ("", before)
    assert set(before) == {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()}
    assert folder.stat().st_mode & 0o777 == 0o700

    variables = {name: value.replace("/run/secrets", str(folder)) for name, value in OURS["web"]["environment"].items()}
    image = deployment.image_variables()
    variables |= {name: image[name] for name in ("NAMETAG_ENV", "LISTEN")}
    shown = processes.nametag("config", "--json", **variables)
    assert shown.returncode == 0, shown.stderr
    by_name = {each["name"]: each for each in json.loads(shown.stdout)}
    for name in ("SECRET_KEY", "TOKEN_ENCRYPTION_KEYS", "META_APP_SECRETS", "META_VERIFY_TOKEN"):
        assert by_name[name] == {
            "name": name,
            "value": None,
            "source": str(folder / name.lower()),
            "hidden": True,
        }
    assert by_name["DATABASE_URL"]["value"] == "postgresql+psycopg://nametag:***@db/nametag"
    assert by_name["REDIS_URL"]["value"] == "redis://:***@redis:6379/0"
    assert not any(secret.strip() in shown.stdout for secret in before.values() if secret)
    assert os.access(script, os.X_OK)
