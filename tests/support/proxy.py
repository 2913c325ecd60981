"""Debian's nginx with this repository's configuration, in front of a web server of Nametag."""

import getpass
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from app import parent_death
from tests.support import certificates
from tests.support.processes import ROOT, free_port
from tests.support.requirement import missing
from tests.support.waiting import until

SHIPPED = ROOT / "docs" / "deploy" / "nginx.conf"
PORT_LINES = ("listen 80;", "listen 443 ssl http2;")


@contextmanager
def in_front_of(port: int, folder: Path) -> Iterator[int]:
    """Start nginx on loopback in front of the web server at `port`; yield its TLS port."""
    binary = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin") or missing("there is no nginx")
    folder.mkdir()
    front = free_port()
    (folder / "nginx.conf").write_text(_moved(folder, port, front))
    certificates.self_signed(folder)
    command = [binary, "-p", str(folder), "-e", str(folder / "start.log"), "-c", str(folder / "nginx.conf")]
    process = subprocess.Popen(
        [*command, "-g", "daemon off;"], preexec_fn=partial(parent_death.end_with_parent, os.getpid())
    )
    try:
        until(lambda: _listens(front), "nginx listens")
        assert process.poll() is None, (folder / "start.log").read_text()
        yield front
    finally:
        process.terminate()
        process.wait(10)


def _moved(folder: Path, port: int, front: int) -> str:
    """Return the configuration with other ports, files in `folder`, and an unprivileged port for TLS."""
    words = SHIPPED.read_text()
    changes = {
        "user www-data;": f"user {getpass.getuser()};" if os.getuid() == 0 else "",
        PORT_LINES[0]: f"listen 127.0.0.1:{free_port()};",
        PORT_LINES[1]: f"listen 127.0.0.1:{front} ssl http2;",
        "127.0.0.1:8000": f"127.0.0.1:{port}",
        "/run/nginx.pid": str(folder / "nginx.pid"),
        "/etc/ssl/nametag": str(folder),
        "/var/log/nginx": str(folder),
        "http {\n": "http {\n" + "".join(f"{kind}_temp_path {folder / kind};" for kind in _TEMPORARY) + "\n",
    }
    for ours, theirs in changes.items():
        assert len(re.findall(re.escape(ours), words)) >= 1, ours
        words = words.replace(ours, theirs)
    return words


_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def _listens(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
