"""What Dockerfile, compose.yaml and the systemd units say, for tests that do the same without a container runtime."""

import json
import re
from typing import Any

import yaml

from tests.support.processes import ROOT

UNITS = ROOT / "packaging" / "systemd"
USER_ID = 10001


def dockerfile() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile with their arguments, continued lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r" *\\\n *", " ", text).splitlines()
    return [(name, rest) for name, _, rest in (line.strip().partition(" ") for line in lines) if name]


def copied_files() -> list[str]:
    """Return the files and folders of the repository that the Dockerfile copies into the build stage."""
    copies = [rest.split() for name, rest in dockerfile() if name == "COPY" and not rest.startswith("--from")]
    return [source for *sources, _ in copies for source in sources]


def image_variables() -> dict[str, str]:
    """Return the environment variables of the image."""
    [variables] = [rest for name, rest in dockerfile() if name == "ENV"]
    return dict(pair.split("=", 1) for pair in variables.split())


def health_check() -> list[str]:
    """Return the command of the image's health check."""
    [check] = [rest for name, rest in dockerfile() if name == "HEALTHCHECK"]
    command: list[str] = json.loads(check.partition("CMD ")[2])
    return command


def compose() -> dict[str, Any]:
    """Return compose.yaml, with the default or an example in place of variables."""
    text = (ROOT / "compose.yaml").read_text()
    text = re.sub(r"\$\{TRUSTED_HOSTS:\?[^}]*\}", "inbox.example.com", text)
    document: dict[str, Any] = yaml.safe_load(re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text))
    return document


def unit(name: str) -> dict[str, list[str]]:
    """Return the lines of a systemd unit by name; sections do not share names here."""
    found: dict[str, list[str]] = {}
    for line in (UNITS / name).read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


def seconds(text: str) -> float:
    """Return a duration such as 630s or 20 as seconds."""
    return float(text.removesuffix("s"))
