"""The daily tasks of a user, in Chromium, on real processes."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import sign_in
from tests.factories import CAMILLE, GHOST, LEA, SHY, UNKNOWN_PERSON
from tests.support.installation import Installation
from tests.support.waiting import until

POLL_MS = 31_000  # the list refreshes every 30 s
NAMES = "SELECT count(*) FROM identities WHERE username IS NOT NULL OR name IS NOT NULL OR last_error IS NOT NULL"


def write(nametag: Installation, person: str, text: str = "Hello", **more: object) -> None:
    """Send a message of a contact from the sandbox."""
    assert nametag.sandbox.post("send", person=person, text=text, **more)["status"] == 200


def await_names(nametag: Installation, number: int) -> None:
    """Wait until `number` contacts have a name or a reason."""
    until(lambda: nametag.value(NAMES) == number, f"{number} people were looked up")


def poll_until(page: Page, shown: Locator) -> None:
    """Let polls come due until something is shown; change tokens change shortly after a commit."""

    def polled() -> bool:
        page.clock.fast_forward(POLL_MS)
        return shown.count() > 0

    until(polled, "the page shows what is new")


def test_a_message_arrives_and_its_sender_gets_a_name_without_a_reload(
    page: Page, nametag: Installation, complaints: list[str]
) -> None:
    """Then the conversation is opened: it shows who wrote, and what comes next."""
    page.clock.install()
    sign_in(page, nametag)
    expect(page.get_by_text("No conversations yet.")).to_be_visible()
    write(nametag, LEA, "Could you hold it until Saturday?")
    await_names(nametag, 1)
    row = page.locator(".row-link")
    poll_until(page, row.filter(has_text="@lea.moreau"))
    expect(row).to_contain_text("Could you hold it until Saturday?")
    expect(page.locator("#count-unread")).to_have_text("1")

    row.click()
    messages = page.locator("[id^=msgs-]")
    expect(messages.get_by_text("Could you hold it until Saturday?")).to_be_visible()
    write(nametag, LEA, "Of course!", kind="echo")
    theirs = page.locator("[id^=run-]", has_text="Could you hold it")
    ours = page.locator("[id^=run-]", has_text="Of course!")
    poll_until(page, ours)
    expect(theirs).to_contain_text("@lea.moreau")
    expect(ours).to_contain_text("You")
    left, right = theirs.locator(".bubble").bounding_box(), ours.locator(".bubble").bounding_box()
    assert left is not None
    assert right is not None
    assert left["x"] < right["x"]
    write(nametag, LEA, "", kind="image")
    poll_until(page, messages.locator("img"))
    expect(messages.locator("img")).to_have_js_property("complete", True)
    assert complaints == []


@pytest.mark.timeout(90)
def test_a_backfill_is_started_by_button_and_watched_to_its_end(
    page: Page, nametag: Installation, complaints: list[str]
) -> None:
    nametag.workers["resolve-participants"].end()
    nametag.start_worker("backfill-participant-profiles")
    for person in (LEA, CAMILLE, UNKNOWN_PERSON, GHOST, SHY):
        write(nametag, person)
    sign_in(page, nametag)
    page.get_by_role("link", name="Jobs").click()
    page.get_by_role("button", name="Backfill profiles").click()
    expect(page.get_by_role("row", name=re.compile("Backfill profiles"))).to_be_visible(timeout=30_000)
    expect(page.locator("#job-live")).to_contain_text("Some failed")
    page.get_by_role("link", name="Inbox").click()
    expect(page.locator(".row-link", has_text="@lea.moreau")).to_be_visible()
    expect(page.locator(".row-link", has_text="Camille Roux")).to_be_visible()
    expect(page.locator(".row-link", has_text="@user_883201")).to_contain_text("unknown")
    assert complaints == []


def test_the_queue_dashboard_opens_for_operations_people(page: Page, nametag: Installation) -> None:
    write(nametag, LEA)
    sign_in(page, nametag)
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Queue dashboard").click()
    expect(opened.value.get_by_text("resolve-participants")).to_be_visible()


def test_a_server_that_is_away_is_said_and_the_return_too(page: Page, nametag: Installation) -> None:
    write(nametag, LEA, "Hello")
    page.clock.install()
    sign_in(page, nametag)
    port = int(nametag.web.url.rpartition(":")[2])
    nametag.web.end()
    page.clock.fast_forward(POLL_MS)
    page.clock.fast_forward(POLL_MS)
    expect(page.locator("#stale")).to_be_visible()
    expect(page.locator(".row-link")).to_have_count(1)
    nametag.web = nametag.processes.web(port=port)
    page.locator("#stale-retry").click()
    expect(page.locator("#stale")).to_be_hidden()
