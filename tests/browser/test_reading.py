"""Two users at once: unread badges, presence, marking all shown conversations as read, and desktop notifications."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from app.users import users
from app.viewer import OPERATOR, Role
from tests.browser.inbox_server import PASSWORD, InboxServer, poll
from tests.browser.test_polling import HIDE
from tests.factories import CAMILLE, LEA, RUI
from tests.support.waiting import until

OSKAR = "oskar.lind@example.com"
STUB = """permission => {
  window.noticed = [];
  window.Notification = class {
    static permission = permission;
    static requestPermission = async () => permission;
    constructor(title, options) { window.noticed.push(`${title}: ${options.body}`); }
  };
}"""


@pytest.fixture(scope="module")
def oskar(inbox: InboxServer) -> str:
    users.add_user(OPERATOR, OSKAR, role=Role.AGENT, password=PASSWORD)
    return OSKAR


@pytest.fixture
def other(inbox: InboxServer, chromium: Browser, oskar: str) -> Iterator[Page]:
    """A tab of a second user."""
    context = chromium.new_context(viewport={"width": 1440, "height": 800}, reduced_motion="reduce")
    context.set_default_timeout(10_000)
    page = context.new_page()
    inbox.sign_in(page, oskar)
    yield page
    context.close()


@pytest.fixture
def context(inbox: InboxServer, chromium: Browser) -> Iterator[BrowserContext]:
    """A browser profile of the first user."""
    context = inbox.context(chromium, reduced_motion="reduce")
    yield context
    context.close()


def row(page: Page, inbox: InboxServer, who: str) -> str:
    return f"#c{inbox.conversation(who)}"


def test_reading_leaves_the_badge_of_the_other_user(tab: Page, other: Page, inbox: InboxServer) -> None:
    inbox.write(RUI, "For both")
    theirs = row(other, inbox, RUI)
    poll(other, "list")
    expect(other.locator(f"{theirs} .row-badge")).to_be_visible()
    expect(other.locator(f"{theirs} .row-new")).to_have_count(1)
    inbox.open(tab, RUI)
    poll(tab, "list")
    expect(tab.locator(f"{theirs} .row-badge")).to_have_count(0)
    poll(other, "list")
    expect(other.locator(f"{theirs} .row-new")).to_have_count(0)
    expect(other.locator(f"{theirs} .row-badge")).to_be_visible()


def test_opening_an_unread_conversation_takes_its_badge_away(tab: Page, inbox: InboxServer) -> None:
    inbox.mark_all(0)
    inbox.mark_all(1, LEA, CAMILLE)
    tab.goto(f"{inbox.url}/inbox")
    expect(tab.locator("#rail-unread")).to_have_text("2 unread")
    tab.locator(f"{row(tab, inbox, LEA)} .row-link").click()
    expect(tab.locator(f"{row(tab, inbox, LEA)} .row-badge")).to_have_count(0)
    expect(tab.locator("#rail-unread")).to_have_text("1 unread")


def test_presence_appears_within_fifteen_seconds_and_ends_with_the_page(
    tab: Page, other: Page, inbox: InboxServer
) -> None:
    inbox.open(tab, LEA)
    expect(tab.locator(".thread-present")).to_have_count(0)
    inbox.open(other, LEA)
    expect(other.locator(".thread-present")).to_have_text("Nadia Kessler is here")
    tab.clock.run_for(15_000)
    expect(tab.locator(".thread-present")).to_have_text("Oskar Lind is here")
    other.goto(f"{inbox.url}/jobs")

    def alone() -> bool:
        poll(tab, "thread")
        return tab.locator(".thread-present").count() == 0

    until(alone, "leaving the page ends presence")


def test_all_shown_conversations_are_marked_as_read_and_can_be_undone(tab: Page, inbox: InboxServer) -> None:
    inbox.write(RUI, "One")
    inbox.write(CAMILLE, "Two")
    tab.goto(f"{inbox.url}/inbox")
    mine = tab.locator(f"{row(tab, inbox, RUI)} .row-badge")
    expect(mine).to_be_visible()
    tab.get_by_role("button", name="Mark all shown as read").click()
    toast = tab.locator(".toast", has_text=re.compile(r"Marked \d+ conversations as read\."))
    expect(toast).to_be_visible()
    expect(mine).to_have_count(0)
    toast.get_by_role("button", name="Undo").click()
    expect(mine).to_be_visible()
    expect(toast).to_have_count(0)
    tab.get_by_role("button", name="Mark all shown as read").click()
    expect(toast).to_be_visible()
    tab.clock.run_for(11_000)
    expect(toast).to_have_count(0)


def test_a_hidden_browser_notifies_once_from_one_of_its_tabs(context: BrowserContext, inbox: InboxServer) -> None:
    context.add_init_script(f"({STUB})('granted')")
    tabs = [context.new_page(), context.new_page()]
    for tab in tabs:
        tab.clock.install()
        tab.goto(f"{inbox.url}/settings")
    tabs[0].get_by_label("Notify me about new messages").check()
    tabs[1].reload()
    expect(tabs[1].get_by_label("Notify me about new messages")).to_be_checked()
    inbox.write(LEA, "Seen while a tab was visible")
    for tab in tabs:
        with tab.expect_response(re.compile("/inbox/notices")):
            tab.evaluate(HIDE, True)
    inbox.write(RUI, "Are you there?")
    for _ in range(2):
        for tab in tabs:
            tab.clock.run_for(61_500)
            tab.evaluate("() => navigator.locks.request('nametag:notices', () => {})")  # after its check
    noticed = [each for tab in tabs for each in tab.evaluate("window.noticed")]
    assert noticed == ["@rui.costa: New message"]


def test_the_text_of_a_message_is_shown_on_request_and_many_contacts_share_a_notice(
    context: BrowserContext, inbox: InboxServer
) -> None:
    context.add_init_script(f"({STUB})('granted')")
    tab = context.new_page()
    tab.clock.install()
    tab.goto(f"{inbox.url}/settings")
    tab.get_by_label("Notify me about new messages").check()
    tab.get_by_label("Show the text of the message").check()
    with tab.expect_response(re.compile("/inbox/notices")):
        tab.evaluate(HIDE, True)
    inbox.write(RUI, "Are you there?")
    with tab.expect_response(re.compile("/inbox/notices")):
        tab.clock.run_for(61_500)
    inbox.write(CAMILLE, "Me too")
    inbox.write(LEA, "And me")
    with tab.expect_response(re.compile("/inbox/notices")):
        tab.clock.run_for(61_500)
    tab.wait_for_function("window.noticed.length === 2")
    expected = ["@rui.costa: Are you there?", "2 contacts wrote: @lea.moreau, Camille Roux"]
    assert tab.evaluate("window.noticed") == expected


def test_nothing_is_reported_while_another_tab_is_visible(context: BrowserContext, inbox: InboxServer) -> None:
    context.add_init_script(f"({STUB})('granted')")
    hidden, visible = context.new_page(), context.new_page()
    for tab in (hidden, visible):
        tab.clock.install()
        tab.goto(f"{inbox.url}/settings")
    hidden.get_by_label("Notify me about new messages").check()
    hidden.evaluate(HIDE, True)
    visible.reload()
    expect(visible.get_by_label("Notify me about new messages")).to_be_checked()
    inbox.write(RUI, "You see this in the other tab")
    with hidden.expect_response(re.compile("/inbox/notices")):
        hidden.clock.run_for(61_500)
    inbox.write(RUI, "And this")
    visible.clock.run_for(61_500)
    with hidden.expect_response(re.compile("/inbox/notices")):
        hidden.clock.run_for(61_500)
    assert hidden.evaluate("window.noticed") == []


def test_a_browser_that_blocks_notifications_is_explained(context: BrowserContext, inbox: InboxServer) -> None:
    context.add_init_script(f"({STUB})('denied')")
    tab = context.new_page()
    tab.goto(f"{inbox.url}/settings")
    expect(tab.locator("#notices-hint")).to_contain_text("Your browser blocks notifications of this site.")
    choice = tab.get_by_label("Notify me about new messages")
    choice.click()
    expect(choice).not_to_be_checked()
    assert tab.evaluate("localStorage.getItem('nametag:notices')") is None


def test_pages_do_not_load_the_script_of_notifications_unless_they_are_on(tab: Page, inbox: InboxServer) -> None:
    tab.goto(f"{inbox.url}/inbox")
    assert tab.locator("script[src*='notices.js']").count() == 0


def test_the_palette_opens_while_notifications_are_on(context: BrowserContext, inbox: InboxServer) -> None:
    context.add_init_script(f"({STUB})('granted'); localStorage.setItem('nametag:notices', 'on')")
    tab = context.new_page()
    tab.goto(f"{inbox.url}/settings")
    expect(tab.get_by_label("Notify me about new messages")).to_be_checked()
    tab.keyboard.press("Control+k")
    options = tab.locator("#palette").get_by_role("option")
    expect(options.first).to_have_attribute("aria-selected", "true")
