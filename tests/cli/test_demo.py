"""`nametag up --demo`: an inbox with messages, without Meta."""

import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.error import URLError

from app import local_defaults
from app.sandbox.accounts import APP_ID, APP_SECRET, ATELIER_NORD
from tests.support.processes import ROOT, Process, Processes, free_port, part
from tests.support.waiting import until


def up(processes: Processes, *options: str) -> tuple[Process, str]:
    started = processes.start("up", *options, PORT=str(free_port()), WORKERS="1")
    url = started.await_line("Nametag is ready: ").rpartition(" ")[2]
    started.await_line("Ctrl-C")
    return started, url


def rows(folder: Path, question: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / "nametag.sqlite3")) as connection:
        return connection.execute(question).fetchall()


def sign_in_line(process: Process) -> str:
    return next((line for line in process.output().splitlines() if line.startswith("Sign in as ")), "")


def kept(folder: Path) -> dict[str, str]:
    lines = local_defaults.file(folder).read_text().splitlines()
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def test_both_accounts_are_connected_and_messages_arrive_and_get_names(processes: Processes, tmp_path: Path) -> None:
    up(processes, "--demo")
    assert rows(tmp_path, "SELECT username FROM accounts ORDER BY 1") == [("atelier.nord",), ("maison.lune",)]
    until(lambda: rows(tmp_path, "SELECT count(*) FROM conversations")[0][0] >= 90, "the backlog is there")
    until(lambda: rows(tmp_path, "SELECT 1 FROM identities WHERE username IS NOT NULL"), "somebody has a name")
    assert rows(tmp_path, "SELECT count(*) FROM dead_letters") == [(0,)]


def test_a_second_start_goes_on_with_the_same_data_and_sign_in(processes: Processes, tmp_path: Path) -> None:
    first, _ = up(processes, "--demo")
    until(lambda: rows(tmp_path, "SELECT count(*) FROM conversations")[0][0] >= 90, "the backlog is there")
    first.end(signal.SIGINT)
    (before,) = rows(tmp_path, "SELECT count(*) FROM conversations")[0]
    second, _ = up(processes, "--demo")
    assert sign_in_line(second) == sign_in_line(first) != ""
    sandbox = kept(tmp_path)["GRAPH_INSTAGRAM_URL"].removesuffix("/instagram")
    until(lambda: accepted(sandbox) >= 2, "it sends again")
    (after,) = rows(tmp_path, "SELECT count(*) FROM conversations")[0]
    assert before <= after < before + 50
    assert rows(tmp_path, "SELECT count(*) FROM accounts") == [(2,)]


def accepted(sandbox: str) -> int:
    try:
        with urllib.request.urlopen(f"{sandbox}/_sandbox/stats", timeout=5) as answer:
            number: int = json.load(answer)["deliveries"]["accepted"]
            return number
    except URLError:
        return 0


def test_a_changed_password_is_no_longer_printed(processes: Processes) -> None:
    first, _ = up(processes, "--demo")
    first.end(signal.SIGINT)
    email = sign_in_line(first).split()[3]
    changed = processes.nametag("user", "passwd", email, "--password-stdin", answer="a much better one 42")
    assert changed.returncode == 0, changed.stderr
    second, _ = up(processes, "--demo")
    assert sign_in_line(second) == ""


def test_the_kept_sign_in_is_the_owners_alone(processes: Processes, tmp_path: Path) -> None:
    started, _ = up(processes, "--demo")
    path = tmp_path / "sign-in.txt"
    assert path.read_text().split()[1] == sign_in_line(started).split()[-1]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_sandboxs_well_known_secret_is_never_kept(processes: Processes, tmp_path: Path) -> None:
    up(processes, "--demo")
    assert kept(tmp_path)["GRAPH_FACEBOOK_URL"].startswith("http://127.0.0.1:")
    assert APP_SECRET not in local_defaults.file(tmp_path).read_text()
    assert kept(tmp_path)["META_APP_ID"] == kept(tmp_path)["META_INSTAGRAM_APP_ID"] == APP_ID
    checked = processes.nametag("account", "check", ATELIER_NORD)  # proved with the secret that both sides share
    assert (checked.returncode, checked.stdout) == (0, "The access token works.\n")


def test_a_start_without_the_demo_calls_meta_again(processes: Processes, tmp_path: Path) -> None:
    first, _ = up(processes, "--demo")
    first.end(signal.SIGINT)
    up(processes)
    assert {kept(tmp_path)[name] for name in ("GRAPH_FACEBOOK_URL", "GRAPH_INSTAGRAM_URL", "MEDIA_HOSTS")} == {""}
    environment = {"NAMETAG_DATA_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    code = "from app import settings; print(settings.current().graph_facebook_url)"
    seen = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert seen.stdout == "https://graph.facebook.com\n"


def test_a_killed_sandbox_comes_back_at_its_address(processes: Processes, tmp_path: Path) -> None:
    started, _ = up(processes, "--demo")
    sandbox = kept(tmp_path)["GRAPH_INSTAGRAM_URL"].removesuffix("/instagram")
    first = part(started, "-m app.sandbox")
    os.kill(first, signal.SIGKILL)
    until(lambda: part(started, "-m app.sandbox") not in (0, first), "another sandbox runs")
    until(lambda: accepted(sandbox) >= 1, "it sends again")
