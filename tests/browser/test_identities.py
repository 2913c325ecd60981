"""Identities in a browser: selecting several and refreshing them, and a page that follows its lookup."""

import re

from playwright.sync_api import Browser, expect

from app import clock
from app.db import transaction
from app.identities import observations
from app.identities.observations import ProfileObservation
from app.models.identity import Source
from tests.browser.conftest import visit
from tests.browser.seeded_server import SeededServer

UNNAMED = "17841400123512093"


def test_a_selection_shows_its_count_and_cost_and_then_its_plan(chromium: Browser, seeded: SeededServer) -> None:
    page = visit(chromium, seeded, viewport={"width": 1440, "height": 700})
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{seeded.url}/identities")
    bar, boxes = page.locator(".bulk"), page.locator("[data-pick]")
    refresh = bar.get_by_role("button", name="Refresh selected")
    expect(bar).to_contain_text("None selected")
    expect(refresh).to_be_disabled()
    boxes.nth(0).check()
    boxes.nth(3).click(modifiers=["Shift"])
    expect(bar).to_contain_text(re.compile(r"4 selected: 4 API calls of \d+ left"))
    bar.get_by_label("Select all").check()
    expect(bar).to_contain_text(f"{boxes.count()} selected")
    boxes.last.scroll_into_view_if_needed()
    expect(bar).to_be_in_viewport(ratio=1)
    page.goto(f"{seeded.url}/identities?state=known")
    boxes.first.check()
    refresh.click()
    expect(page.locator("#job-estimate")).to_contain_text("1 known contact is looked up again")
    expect(page.get_by_role("button", name="Start for 1 contact")).to_be_visible()
    page.go_back()
    page.get_by_role("link", name="Refresh all that match").click()
    expect(page.get_by_role("button", name=re.compile(r"Start for \d+ contacts"))).to_be_visible()
    assert errors == []
    page.context.close()


def test_an_identity_page_shows_the_result_of_its_refresh(chromium: Browser, seeded: SeededServer) -> None:
    page = visit(chromium, seeded)
    page.goto(f"{seeded.url}/identities?q={UNNAMED}")
    page.get_by_role("link", name=re.compile("user_512093")).click()
    page.get_by_role("button", name="Retry now").click()
    expect(page.get_by_role("button", name="Looking up")).to_be_visible()
    seen = ProfileObservation(UNNAMED, "now.known", None, None, Source.PROFILE, clock.now())
    with transaction.write() as tx:
        observations.record(tx, 1, seen)
    expect(page.get_by_role("heading", name="now.known", level=1)).to_be_visible()
    expect(page.locator("#toasts")).to_contain_text("Resolved: @now.known.")
    expect(page.get_by_role("button", name="Refresh now")).to_be_visible()
    page.context.close()
