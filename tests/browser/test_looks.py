"""Every page in light and dark, wide and narrow: nothing sticks out, nothing is unreadable, the console is quiet."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.bed.installation import Installation
from tests.browser.conftest import sign_in
from tests.browser.test_journeys import await_names, write
from tests.cast import CAMILLE, GHOST, LEA

RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.timeout(120)
def test_every_page_fits_every_width_and_is_accessible(chromium: Browser, nametag: Installation, scheme: str) -> None:
    for person in (LEA, CAMILLE, GHOST):
        write(nametag, person, "https://example.com/" + "x" * 200)
    await_names(nametag, 3)
    for kind in ("story_reply", "echo", "postback", "ephemeral", "reel", "audio", "ad", "handover", "unsupported"):
        write(nametag, GHOST, "Where is my order?", kind=kind)
    context = chromium.new_context(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
    page = context.new_page()
    page.goto(f"{nametag.web.url}/login")
    problems = _problems(page, "/login")
    sign_in(page, nametag)
    thread = nametag.value("SELECT max(id) FROM conversations")
    nameless = nametag.value("SELECT max(id) FROM identities WHERE username IS NULL AND name IS NULL")
    paths = ("/inbox", f"/inbox/{thread}", "/jobs", "/identities", "/identities?state=unknown&q=zzz", "/accounts")
    for path in (*paths, f"/identities/{nameless}", "/insights", "/settings", "/dead-letters", "/nowhere"):
        page.goto(nametag.web.url + path)
        expect(page.locator("h1").first).to_be_attached()
        problems += _problems(page, path)
    context.close()
    assert problems == []


def _problems(page: Page, path: str) -> list[str]:
    found = []
    for width in (320, 390, 800, 1100, 1440):
        page.set_viewport_size({"width": width, "height": 800})
        if (wide := page.evaluate("document.documentElement.scrollWidth")) > width:
            found.append(f"{path} at {width}: {wide} wide")
        if width in (390, 1440):
            for violation in Axe().run(page, options=RULES).response["violations"]:
                nodes = ", ".join(node["html"][:120] for node in violation["nodes"][:3])
                found.append(f"{path} at {width}: {violation['id']}: {nodes}")
    return found
