"""A whole installation, and somebody in Chromium who has signed in to it."""

from collections.abc import Callable

import pytest
from playwright.sync_api import ConsoleMessage, Page

from app import settings
from tests.bed import installation
from tests.bed.installation import EMAIL, PASSWORD, Installation
from tests.bed.processes import Processes

SignIn = Callable[[Page], Page]


@pytest.fixture
def nametag(processes: Processes, sqlite_database: str, redis_server: str, redis: object) -> Installation:
    """Nametag with a sandbox that sends nothing by itself and answers at once."""
    with settings.using(database_url=sqlite_database, redis_url=redis_server) as chosen:
        return installation.started(processes, chosen)


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


def sign_in(page: Page, nametag: Installation) -> None:
    """Fill in the form; the inbox is open afterwards."""
    page.goto(f"{nametag.web.url}/inbox")
    page.get_by_label("Email").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/inbox*")
