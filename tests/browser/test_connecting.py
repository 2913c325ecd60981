"""An admin connects accounts in Chromium: authorized at the sandbox under the strict policy, and without JavaScript."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser, Page, expect

from app import settings
from app.sandbox.accounts import APP_ID
from app.users import users
from app.viewer import OPERATOR, Role
from tests.sandbox.calls import FACEBOOK_TOKEN
from tests.support.installation import PASSWORD
from tests.support.processes import Processes, Web

EMAIL = "ada@example.com"
RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
}


@pytest.fixture
def database(sqlite_database: str) -> str:
    """One kind of database is enough for browser tests."""
    return sqlite_database


@pytest.fixture
def web(processes: Processes, app: Flask) -> Web:
    """A web server with an admin and a sandbox, and no account."""
    users.add_user(OPERATOR, EMAIL, role=Role.ADMIN, password=PASSWORD)
    processes.share(settings.current())
    secrets = processes.sandbox().get("secrets")
    apps = {"META_APP_ID": APP_ID, "META_INSTAGRAM_APP_ID": APP_ID}
    processes.variables |= apps | {"META_APP_SECRETS": ",".join(secrets["app_secrets"])}
    return processes.web()


def sign_in(page: Page, web: Web) -> None:
    page.goto(f"{web.url}/login?next=/accounts")
    page.get_by_label("Email").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Accounts", level=1)).to_be_visible()


def problems(page: Page) -> list[str]:
    """Return texts that overflow or lack contrast, in both themes, narrow and wide."""
    found = []
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
        for width in (320, 390, 1440):
            page.set_viewport_size({"width": width, "height": 900})
            if (wide := page.evaluate("document.documentElement.scrollWidth")) > width:
                found.append(f"{wide} wide at {width}")
            if width != 320:
                found += [each["id"] for each in Axe().run(page, options=RULES).response["violations"]]
    return found


@pytest.mark.timeout(120)
def test_accounts_are_connected_by_clicks_at_meta(page: Page, web: Web, complaints: list[str]) -> None:
    sign_in(page, web)
    expect(page.get_by_text("No account connected")).to_be_visible()
    assert problems(page) == []
    page.get_by_role("link", name="Connect with Instagram").click()
    expect(page.get_by_role("heading", name="Instagram login (sandbox)")).to_be_visible()
    page.get_by_role("link", name="Continue as maison.lune").click()
    expect(page.get_by_text("Connected maison.lune.")).to_be_visible()
    card = page.get_by_role("region", name="maison.lune")
    expect(card).to_contain_text("Healthy")
    page.get_by_role("link", name="Connect with Facebook").click()
    page.get_by_role("link", name="without one permission").click()
    worse = page.get_by_role("region", name="atelier.nord")
    expect(worse).to_contain_text("5 of 6 · missing: pages_show_list")
    assert problems(page) == []
    card.get_by_role("button", name="Check connection").click()
    expect(page.get_by_text("connection OK. The access token is valid and webhooks are active.")).to_be_visible()
    worse.get_by_text("Remove…").click()
    worse.get_by_role("button", name="Remove atelier.nord").click()
    page.get_by_role("dialog").get_by_role("button", name=re.compile("^Remove ")).click()
    expect(page.get_by_text("Account removed")).to_be_visible()
    expect(worse).to_have_count(0)
    assert complaints == []


def test_a_token_is_pasted_without_a_script(chromium: Browser, web: Web) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    sign_in(page, web)
    page.get_by_label("Login").select_option("facebook")
    page.get_by_label("Access token", exact=True).fill("EAAwrong")
    page.get_by_role("button", name="Connect account").click()
    expect(page.locator("#token-error")).to_contain_text("token")
    expect(page.get_by_label("Access token", exact=True)).to_have_value("")
    expect(page.get_by_label("Login")).to_have_value("facebook")
    page.get_by_label("Access token", exact=True).fill(FACEBOOK_TOKEN)
    page.get_by_role("button", name="Connect account").click()
    expect(page.get_by_text("Connected atelier.nord.")).to_be_visible()
    page.get_by_text("Remove…").click()
    page.get_by_role("button", name="Remove atelier.nord").click()
    expect(page.get_by_text("No account connected")).to_be_visible()
    context.close()
