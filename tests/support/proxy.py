"""Debian's nginx and Caddy with this repository's configurations, in front of a web server of Nametag."""

import getpass
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from app import parent_death
from tests.support import certificates
from tests.support.processes import ROOT, free_port
from tests.support.requirement import missing
from tests.support.waiting import until

SHIPPED = ROOT / "docs" / "deploy"
PORT_LINES = ("listen 80;", "listen 443 ssl http2;")
HOST = "nametag.example"


@dataclass(frozen=True, slots=True)
class Command:
    """How to run a proxy."""

    arguments: list[str]
    environment: dict[str, str]


@contextmanager
def in_front_of(port: int, folder: Path, name: str = "nginx") -> Iterator[int]:
    """Start the proxy on loopback in front of the web server at `port`; yield its TLS port."""
    folder.mkdir()
    front = free_port()
    certificates.self_signed(folder)
    command = PROXIES[name](folder, port, front)
    with (folder / "start.log").open("wb") as log:
        process = subprocess.Popen(
            command.arguments,
            env=os.environ | command.environment,
            stdout=log,
            stderr=log,
            preexec_fn=partial(parent_death.end_with_parent, os.getpid()),
        )
    try:
        until(lambda: _listens(front) or process.poll() is not None, f"{name} listens")
        assert process.poll() is None, (folder / "start.log").read_text()
        yield front
    finally:
        process.terminate()
        process.wait(10)


def _nginx(folder: Path, port: int, front: int) -> Command:
    """Return a start with other ports, files in `folder`, and an unprivileged port for TLS."""
    temporary = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    changes = {
        "user www-data;": f"user {getpass.getuser()};" if os.getuid() == 0 else "",
        PORT_LINES[0]: f"listen 127.0.0.1:{free_port()};",
        PORT_LINES[1]: f"listen 127.0.0.1:{front} ssl http2;",
        "127.0.0.1:8000": f"127.0.0.1:{port}",
        "/run/nginx.pid": str(folder / "nginx.pid"),
        "/etc/ssl/nametag": str(folder),
        "/var/log/nginx": str(folder),
        "http {\n": "http {\n" + "".join(f"{kind}_temp_path {folder / kind};" for kind in temporary) + "\n",
    }
    config = _changed("nginx.conf", folder, changes)
    options = ["-p", str(folder), "-e", str(folder / "start.log"), "-c", str(config), "-g", "daemon off;"]
    return Command([_binary("nginx"), *options], {})


def _caddy(folder: Path, port: int, front: int) -> Command:
    """Return a start with a self-signed certificate, without the ports 80 and 2019."""
    binary = _binary("caddy")
    site = "{$TRUSTED_HOSTS:nametag.example} {\n"
    changes = {
        "{\n\tservers {": "{\n\tadmin off\n\tauto_https off\n\tservers {",
        site: f"{site}\ttls {folder / certificates.CERTIFICATE} {folder / certificates.KEY}\n",
    }
    version = subprocess.run([binary, "version"], capture_output=True, text=True, check=True).stdout
    if tuple(map(int, re.findall(r"\d+", version)[:2])) < (2, 7):  # as the file says
        changes["request_buffers 4MiB"] = "buffer_requests\n\t\tmax_buffer_size 4MiB"
    config = _changed("Caddyfile", folder, changes)
    hosts = f"{HOST}:{front}, 127.0.0.1:{front}"
    variables = {"TRUSTED_HOSTS": hosts, "UPSTREAM": f"127.0.0.1:{port}", "XDG_DATA_HOME": str(folder)}
    variables["XDG_CONFIG_HOME"] = str(folder)
    return Command([binary, "run", "--config", str(config), "--adapter", "caddyfile"], variables)


PROXIES: dict[str, Callable[[Path, int, int], Command]] = {"nginx": _nginx, "caddy": _caddy}


def _binary(name: str) -> str:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin") or missing(f"there is no {name}")


def _changed(name: str, folder: Path, changes: dict[str, str]) -> Path:
    words = (SHIPPED / name).read_text()
    for ours, theirs in changes.items():
        assert words.count(ours) >= 1, ours
        words = words.replace(ours, theirs)
    (folder / name).write_text(words)
    return folder / name


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
