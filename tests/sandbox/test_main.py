"""The sandbox as a command: on loopback only, ends on a signal."""

import signal
import urllib.request

from tests.support.processes import Processes, Sandbox


def test_the_sandbox_ends_cleanly_on_a_signal(sandbox: Sandbox) -> None:
    assert sandbox.end(signal.SIGTERM) == 0


def test_a_host_other_than_loopback_is_refused(processes: Processes) -> None:
    refused = processes.module("app.sandbox", "--host", "0.0.0.0")
    assert refused.wait() == 2
    assert "this machine only" in refused.output()


def test_pictures_are_pngs_and_each_is_its_own(sandbox: Sandbox) -> None:
    def picture(path: str) -> bytes:
        with urllib.request.urlopen(f"{sandbox.url}/media/{path}") as answer:
            content: bytes = answer.read()
            return content

    pictures = [picture(path) for path in ("photo/1.png", "photo/2.png", "avatar/1.png")]
    assert all(each.startswith(b"\x89PNG") for each in pictures)
    assert len(set(pictures)) == 3
