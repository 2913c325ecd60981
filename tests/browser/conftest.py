"""A whole installation, or a desk with a web server alone; and somebody in Chromium who has signed in to it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page

from app import queue, settings
from tests.browser import desk as desks
from tests.browser.desk import Desk
from tests.browser.stage import EMAIL, PASSWORD, Stage, set_up
from tests.support import databases, installation
from tests.support.installation import Installation
from tests.support.processes import Processes

SignIn = Callable[[Page], Page]


@pytest.fixture
def nametag(processes: Processes, sqlite_database: str, redis_server: str, redis: object) -> Installation:
    """Nametag with a worker that finds names, and a sandbox that sends nothing by itself and answers at once."""
    with settings.using(database_url=sqlite_database, redis_url=redis_server) as chosen:
        return installation.started(processes, chosen, queues=(queue.TASKS[queue.RESOLVE].queue,))


@pytest.fixture
def complaints(page: Page) -> list[str]:
    """What the browser's console complains about: refused by the CSP, not found, thrown."""
    found: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            found.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: found.append(str(error)))
    return found


@pytest.fixture(scope="module")
def desk(sqlite_template: Path, redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One web server for a module, with the cast and a crowd in its inbox."""
    folder = tmp_path_factory.mktemp("desk")
    with Processes(folder) as processes, desks.laid(processes, sqlite_template, redis_server) as laid:
        yield laid


@pytest.fixture
def tab(desk: Desk, chromium: Browser) -> Iterator[Page]:
    """A tab of somebody who has signed in at the desk; its clock goes on, and can be moved forward."""
    context = desk.context(chromium, reduced_motion="reduce")
    page = context.new_page()
    page.clock.install()
    yield page
    context.close()


def sign_in(page: Page, nametag: Installation) -> None:
    """Fill in the form; the inbox is open afterwards."""
    page.goto(f"{nametag.web.url}/inbox")
    page.get_by_label("Email").fill(installation.EMAIL)
    page.get_by_label("Password").fill(installation.PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/inbox*")


@pytest.fixture(scope="package")
def stage(redis_server: str, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Pages on rows that nobody changes but the test, served for all tests of this folder."""
    folder = tmp_path_factory.mktemp("stage")
    with (
        Processes(folder) as processes,
        set_up(processes, databases.copy_of(sqlite_template, folder), redis_server) as it,
    ):
        yield it


def visit(chromium: Browser, stage: Stage, email: str = EMAIL, **options: Any) -> Page:
    """Return a tab of a fresh profile in which somebody has signed in to the stage; its context is to be closed."""
    context = chromium.new_context(**{"reduced_motion": "reduce", "locale": "en-GB"} | options)
    context.set_default_timeout(10_000)
    page = context.new_page()
    page.goto(f"{stage.url}/login")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/inbox*")
    return page
