"""A real Chromium for browser tests, found on PATH."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.support.requirement import missing

COMMANDS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
QUIET = (
    *("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)


@contextmanager
def launched() -> Iterator[Browser]:
    """Run a browser; skip the test where none is installed."""
    path = next(filter(None, map(shutil.which, COMMANDS)), None)
    if path is None:
        missing("there is no Chromium on PATH")
    arguments = [*QUIET, *(["--no-sandbox"] if os.getuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser of this test process; skips where none is installed."""
    with launched() as browser:
        yield browser


@pytest.fixture
def browsing(chromium: Browser) -> Iterator[BrowserContext]:
    """A new browser profile: no cookies, English, UTC, a wide window."""
    context = chromium.new_context(locale="en-GB", timezone_id="UTC", viewport={"width": 1280, "height": 800})
    context.set_default_timeout(10_000)
    yield context
    context.close()


@pytest.fixture
def page(browsing: BrowserContext) -> Page:
    """An empty tab of a new browser profile."""
    return browsing.new_page()
