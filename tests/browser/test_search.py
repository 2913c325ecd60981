"""Search in a browser: the match is on screen and marked, completion, and Esc."""

import re
from datetime import timedelta

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.inbox_server import InboxServer, poll
from tests.factories import CAMILLE

IN_VIEW = """() => {
  const box = document.querySelector("#messages-scroll").getBoundingClientRect();
  const found = document.querySelector("[data-found]")?.getBoundingClientRect();
  return found && found.top >= box.top && found.bottom <= box.bottom;
}"""


def test_a_word_of_an_old_message_opens_it_on_screen_and_marked(tab: Page, inbox: InboxServer) -> None:
    inbox.write(CAMILLE, "The zebrawood bowl", ago=timedelta(days=9))
    inbox.write(CAMILLE, *(f"Later line {number}\nwith a second line" for number in range(70)), ago=timedelta(days=2))
    tab.goto(f"{inbox.url}/inbox")
    tab.locator("#q").fill("zebra")
    row = tab.locator(f"#c{inbox.conversation(CAMILLE)} .row-link")
    expect(row.locator("mark")).to_have_text("zebra")
    row.click()
    expect(tab.locator("[data-found] mark")).to_have_text("zebra")
    tab.wait_for_function(IN_VIEW)
    expect(tab).to_have_url(re.compile(r"q=zebra.*&at=\d+"))
    poll(tab, "thread")
    expect(tab.locator("[data-found] mark")).to_have_text("zebra")
    tab.wait_for_function(IN_VIEW)
    assert Axe().run(tab).response["violations"] == []
    tab.reload()
    tab.wait_for_function(IN_VIEW)


def test_escape_clears_box_and_list(tab: Page, inbox: InboxServer) -> None:
    inbox.write(CAMILLE, "The zebrawood bowl", ago=timedelta(days=9))
    tab.goto(f"{inbox.url}/inbox")
    rows = tab.locator(".row").count()
    tab.locator("#q").fill("zebrawood kind:text")
    expect(tab.locator(".row")).to_have_count(1)
    tab.locator("#q").press("Escape")
    expect(tab.locator("#q")).to_have_value("")
    expect(tab.locator(".row")).to_have_count(rows)
    expect(tab).to_have_url(re.compile(r"^(?!.*q=).*$"))


def test_completion_offers_operators_for_the_last_word_alone(tab: Page, inbox: InboxServer) -> None:
    tab.goto(f"{inbox.url}/inbox")
    field = tab.locator("#q")
    field.fill("linen ki")
    expect(field).to_have_attribute("list", "search-operators")
    assert tab.locator('#search-operators option[value="linen kind:photo"]').count() == 1
    field.fill("linen")
    expect(field).not_to_have_attribute("list", re.compile("."))
