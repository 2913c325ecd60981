"""The demo of `nametag up --demo`: start the sandbox, connect its accounts, and store its sign-in."""

import json
import socket
import urllib.request
from pathlib import Path
from typing import Any
from urllib.error import URLError

from app import installation, local_defaults, settings
from app.accounts import connect, listing
from app.supervisor.processes import Program, Supervisor
from app.users import sign_in
from app.viewer import OPERATOR

BACKLOG = 90  # older messages in a new inbox, so that it is not empty at first
SANDBOX_STAGE = 3  # stopped first: it keeps sending until then
_META = ("GRAPH_FACEBOOK_URL", "GRAPH_INSTAGRAM_URL", "MEDIA_HOSTS", "META_APP_ID", "META_INSTAGRAM_APP_ID")


def start(supervisor: Supervisor, data_dir: Path, web_url: str) -> dict[str, str]:
    """Run a sandbox and connect its accounts. Return the settings with which every process calls it instead of Meta.

    Stores the settings for commands in other terminals, too. The sandbox signs with this installation's secret: its
    default secret is public.
    """
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    supervisor.start(_sandbox(port, url, web_url, backlog=0 if listing.accounts(OPERATOR) else BACKLOG))
    supervisor.await_ready("sandbox")
    app_id = _read(url, "secrets")["app_id"]
    values = (f"{url}/facebook", f"{url}/instagram", f"127.0.0.1:{port}", app_id, app_id)
    found = dict(zip(_META, values, strict=True))
    local_defaults.write(data_dir, found)
    connect_accounts(url)
    return found


def forget(data_dir: Path) -> None:
    """Remove the settings of an earlier demo, so that Nametag calls Meta and not the sandbox."""
    kept = local_defaults.file(data_dir)
    if kept.is_file() and f"{_META[0]}=http" in kept.read_text():
        local_defaults.write(data_dir, dict.fromkeys(_META, ""))


def remembered(data_dir: Path, first: tuple[str, str] | None) -> tuple[str, str] | None:
    """Store the first admin's email address and password, or return the stored ones; None if they no longer work."""
    path = data_dir / "sign-in.txt"
    if first:
        path.touch(mode=0o600)
        path.write_text("\n".join(first) + "\n")
        return first
    if not path.is_file():
        return None
    email, password = path.read_text().split()
    return (email, password) if sign_in.authenticate(email, password) else None


def _sandbox(port: int, url: str, web_url: str, *, backlog: int) -> Program:
    options = ("--port", str(port), "--webhook-url", f"{web_url}/webhooks/instagram", "--pace", "demo")
    return Program(
        name="sandbox",
        argv=(*installation.PYTHON, "-m", "app.sandbox", *options, "--backlog", str(backlog)),
        environment=settings.environment(SANDBOX_APP_SECRET=settings.current().meta_app_secrets[0]),
        ready=lambda: _answers(url),
        stage=SANDBOX_STAGE,
    )


def connect_accounts(url: str) -> None:
    """Connect the sandbox's accounts that are not connected yet."""
    present = {account.ig_account_id for account in listing.accounts(OPERATOR)}
    with settings.using(graph_facebook_url=f"{url}/facebook", graph_instagram_url=f"{url}/instagram"):
        for account in _read(url, "accounts"):
            if account["id"] not in present:
                connect.add(
                    OPERATOR,
                    account["id"],
                    login=account["login"],
                    token=account["token"],
                    username=account["username"],
                    page_id=account["page_id"],
                    own_ids=[account["own_igsid"]],
                    history=False,  # the sandbox has none yet
                )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(url: str) -> bool:
    try:
        return bool(_read(url, "secrets"))
    except (URLError, OSError):
        return False


def _read(url: str, resource: str) -> Any:
    with urllib.request.urlopen(f"{url}/_sandbox/{resource}", timeout=5) as answer:  # noqa: S310 - the sandbox on this machine
        return json.load(answer)
