"""Servers for browser tests, and users in Chromium who have signed in to them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, StorageState

from app import queue, settings
from tests.browser import inbox_server
from tests.browser.inbox_server import InboxServer
from tests.browser.seeded_server import EMAIL, PASSWORD, SeededServer, serve
from tests.support import databases, installation
from tests.support.installation import Installation
from tests.support.processes import Processes


@pytest.fixture
def nametag(processes: Processes, sqlite_database: str, redis_server: str, redis: object) -> Installation:
    """A complete Nametag: a worker that looks up contacts, and a sandbox that sends nothing on its own."""
    with settings.using(database_url=sqlite_database, redis_url=redis_server) as chosen:
        return installation.started(processes, chosen, queues=(queue.TASKS[queue.RESOLVE].queue,))


@pytest.fixture
def complaints(page: Page) -> list[str]:
    """Errors and warnings of the browser's console: refused by the CSP, not found, thrown."""
    found: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            found.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: found.append(str(error)))
    return found


@pytest.fixture(scope="package")
def inbox_process(
    sqlite_template: Path, redis_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[InboxServer]:
    """A web server whose inbox holds the contacts of the factories and 60 others, for all tests of this folder."""
    with Processes(tmp_path_factory.mktemp("inbox")) as processes:
        yield inbox_server.serve(processes, sqlite_template, redis_server)


@pytest.fixture(scope="module")
def inbox(inbox_process: InboxServer) -> Iterator[InboxServer]:
    """The web server of the inbox; each module begins with the same rows."""
    with inbox_process.module() as server:
        yield server


@pytest.fixture
def tab(inbox: InboxServer, chromium: Browser) -> Iterator[Page]:
    """A tab of a signed-in user; its clock runs, and can be moved forward."""
    context = inbox.context(chromium, reduced_motion="reduce")
    page = context.new_page()
    page.clock.install()
    yield page
    context.close()


def sign_in(page: Page, nametag: Installation) -> None:
    """Sign in with the form and wait for the inbox."""
    page.goto(f"{nametag.web.url}/inbox")
    page.get_by_label("Email").fill(installation.EMAIL)
    page.get_by_label("Password").fill(installation.PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/inbox*")


@pytest.fixture(scope="package")
def seeded(
    redis_server: str, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SeededServer]:
    """A web server on seeded rows for all tests of this folder; no worker changes the rows."""
    folder = tmp_path_factory.mktemp("seeded")
    with (
        Processes(folder) as processes,
        serve(processes, databases.copy_of(sqlite_template, folder), redis_server) as it,
    ):
        yield it


def visit(chromium: Browser, seeded: SeededServer, email: str = EMAIL, **options: Any) -> Page:
    """Return a tab of a new browser profile of a signed-in user, on the inbox. The caller closes its context."""
    if email not in seeded.signed_in:
        seeded.signed_in[email] = _signed_in(chromium, seeded, email)
    usual: dict[str, Any] = {"reduced_motion": "reduce", "locale": "en-GB", "storage_state": seeded.signed_in[email]}
    context = chromium.new_context(**usual | options)
    context.set_default_timeout(10_000)
    page = context.new_page()
    page.goto(f"{seeded.url}/inbox")
    return page


def _signed_in(chromium: Browser, seeded: SeededServer, email: str) -> StorageState:
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{seeded.url}/login")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/inbox*")
    state = context.storage_state()
    context.close()
    return state
