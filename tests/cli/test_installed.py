"""A package that was built as a wheel and installed into an environment of its own, far from the checkout."""

import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import urllib.parse
import urllib.request
import venv
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from app import installation, local_defaults, parent_death
from tests.support import deployment
from tests.support.processes import ROOT, Process, Processes, answers, free_port
from tests.support.waiting import until

PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
SIGN_IN = re.compile(r"Sign in as (\S+) with password (\S+)")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the files that the Dockerfile copies."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in deployment.copied_files():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source / name)
    _git(source, "init", "--quiet")
    _git(source, "add", ".")
    _git(source, "-c", "user.name=Test", "-c", "user.email=test@example.com", "commit", "--quiet", "-m", "All")
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(target))
    subprocess.run([*PIP, "wheel", *options, str(source)], check=True, timeout=50)
    [built] = target.iterdir()
    assert _git(source, "status", "--porcelain") == ""  # the build left nothing behind
    (target / "commit").write_text(_git(source, "rev-parse", "--short=12", "HEAD"))
    return built


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def command(wheel: Path) -> Iterator[Path]:
    """The command `nametag` of a new environment with the wheel; dependencies are those of the tests."""
    folder = Path(tempfile.mkdtemp(prefix="nt-venv-"))
    venv.create(folder, with_pip=False)
    [packages] = folder.glob("lib/python*/site-packages")
    # A line adds that folder alone, and none of the checkouts that are linked from it.
    (packages / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    python = str(folder / "bin" / "python")
    subprocess.run([*PIP, "--python", python, "install", "--no-deps", "--no-index", str(wheel)], check=True, timeout=50)
    assert (packages / "app" / "static").is_dir()
    yield folder / "bin" / "nametag"
    shutil.rmtree(folder)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """The home folder of the user who runs it."""
    return tmp_path


def environment(home: Path, **variables: str) -> dict[str, str]:
    ours = {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
    return ours | variables


def run(command: Path, home: Path, *arguments: str, folder: Path = Path("/")) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [command, *arguments],
        cwd=folder,
        env=environment(home),
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


def test_a_wheel_has_every_file_that_is_needed_at_run_time(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    for path in (ROOT / "app").rglob("*"):
        if path.suffix in (".py", ".lua"):
            assert f"app/{path.relative_to(ROOT / 'app').as_posix()}" in inside
    for folder in installation.FOLDERS:
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                assert f"app/{path.relative_to(ROOT).as_posix()}" in inside
    assert {"app/static/app.css.gz", "app/static/vendor/htmx/htmx.min.js.gz", "app/static/icons.svg.gz"} <= inside
    shared = {name.partition("/data/share/")[2] for name in inside}
    assert {"nametag/env.example", "nametag/deploy/nginx.conf", "nametag/systemd/nametag-web.service"} <= shared


def test_the_version_names_the_commit_it_was_built_from(command: Path, wheel: Path, home: Path) -> None:
    commit = (wheel.parent / "commit").read_text()
    assert run(command, home, "--version").stdout == f"nametag {installation.VERSION} ({commit})\n"


def test_the_data_of_a_package_is_in_the_users_data_folder(command: Path, home: Path) -> None:
    shown = run(command, home, "config")
    assert shown.returncode == 0, shown.stderr
    assert re.search(rf"^NAMETAG_DATA_DIR +{home}/.local/share/nametag/instance +default$", shown.stdout, re.MULTILINE)


def test_a_package_ignores_modules_of_the_current_folder(command: Path, home: Path) -> None:
    (home / "app.py").write_text("raise SystemExit('the wrong app')\n")
    answer = run(command, home, "sandbox", "--help", folder=home)
    assert (answer.returncode, "--webhook-url" in answer.stdout) == (0, True)


@pytest.fixture
def read_only(command: Path) -> Iterator[Path]:
    """The installation of `command`, without write permission for anyone."""
    folder = command.parents[1]
    subprocess.run(["chmod", "-R", "a-w", folder], check=True)
    yield folder
    subprocess.run(["chmod", "-R", "u+w", folder], check=True)


# Root without capabilities, as a container with `cap_drop: [ALL]`, obeys file permissions.
UNPRIVILEGED = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs") if os.geteuid() == 0 else ()


@pytest.mark.timeout(120)
def test_it_migrates_and_serves_from_a_read_only_installation_without_privileges(read_only: Path, home: Path) -> None:
    port, bin_folder = free_port(), read_only / "bin"
    image = {name: value.replace("/var/lib/nametag", str(home)) for name, value in deployment.image_variables().items()}
    variables = image | local_defaults.generated() | {"REDIS_URL": "redis://127.0.0.1:1", "LISTEN": f"0.0.0.0:{port}"}
    variables |= {"TRUSTED_HOSTS": "inbox.example.com", "PROXY_HOPS": "1", "PATH": f"{bin_folder}:{os.environ['PATH']}"}

    def started(*arguments: str) -> subprocess.Popen[bytes]:
        end_with_us = partial(parent_death.end_with_parent, os.getpid())
        return subprocess.Popen([*UNPRIVILEGED, *arguments], env=variables, cwd=home, preexec_fn=end_with_us)

    assert started("touch", str(bin_folder / "new")).wait(20) != 0
    assert started("nametag", "db", "upgrade").wait(60) == 0
    web = started("nametag", "web")
    try:
        until(lambda: answers(f"http://127.0.0.1:{port}"), "the web server answers", 40)
        assert started(*deployment.health_check()).wait(30) == 0
    finally:
        web.terminate()
        assert web.wait(20) == 0
    assert started(*deployment.health_check()).wait(30) == 1


@pytest.fixture
def demo(command: Path, home: Path) -> Iterator[Process]:
    """`nametag up --demo`, started in the root folder."""
    log = home / "up.log"
    with log.open("wb") as output:
        popen = subprocess.Popen(
            [command, "up", "--demo"],
            cwd="/",
            env=environment(home, PORT=str(free_port()), WORKERS="1"),
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=partial(parent_death.end_with_parent, os.getpid()),
        )
    yield Process("up", popen, log)
    if popen.poll() is None:
        os.killpg(popen.pid, signal.SIGKILL)
        popen.wait()


@pytest.mark.timeout(120)
def test_an_installed_demo_shows_contacts_with_names(demo: Process) -> None:
    url = demo.await_line("Nametag is ready: ", 50).rpartition(" ")[2]
    signed = SIGN_IN.search(demo.await_line("Sign in as "))
    assert signed
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())

    def page(path: str, **form: str) -> str:
        body = urllib.parse.urlencode(form).encode() if form else None
        with opener.open(urllib.request.Request(url + path, body, {"Referer": url}), timeout=10) as answer:
            return str(answer.read().decode())

    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page("/login"))
    assert token
    assert "/logout" in page("/login", csrf_token=token[1], email=signed[1], password=signed[2])
    until(lambda: '<span class="name-at">@</span>' in page("/inbox"), "a contact of the inbox has a username", 30)
    style = re.search(r'href="(/static/app\.css\?v=[^"]+)"', page("/inbox"))
    assert style
    with urllib.request.urlopen(
        urllib.request.Request(url + style[1], headers={"Accept-Encoding": "gzip, br"})
    ) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert "Content-Security-Policy" in answer.headers
    assert demo.end(signal.SIGINT) == 0


@pytest.mark.parametrize("arguments", [("db", "upgrade"), ("up",)], ids=" ".join)
def test_an_installation_without_its_folders_says_which_are_missing(
    tmp_path: Path, processes: Processes, arguments: tuple[str, ...]
) -> None:
    shutil.copytree(ROOT / "app", tmp_path / "part" / "app", ignore=shutil.ignore_patterns("__pycache__"))
    answer = processes.nametag(*arguments, PYTHONPATH=str(tmp_path / "part"))
    assert (answer.returncode, answer.stderr.count("\n")) == (1, 1)
    assert f"migrations, static, templates missing in {tmp_path / 'part'}" in answer.stderr
