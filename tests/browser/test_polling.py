"""Polling: how often pages ask, what they change, and what they show while the server is unavailable."""

import re
from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, Request, Route, expect

from app.db import transaction
from app.db.engine import db
from app.models.conversation import Conversation
from tests.browser.inbox_server import SETTLED, InboxServer, poll
from tests.factories import CAMILLE, LEA, RUI, an_echo_event

POLLS = re.compile(r"/inbox/list\?|/messages\?|/jobs/live")
OBSERVE = """selector => {
  window.changes = [];
  // htmx marks the element that asks with a class; nothing else may happen.
  const note = (list) => window.changes.push(...list.filter((each) => each.attributeName !== 'class')
    .map((each) => `${each.target.nodeName} ${each.type} ${each.attributeName}`));
  const all = { subtree: true, childList: true, attributes: true, characterData: true };
  for (const part of document.querySelectorAll(selector)) new MutationObserver(note).observe(part.parentElement, all);
}"""
LISTEN = """() => {
  window.said = [];
  for (const id of ['announcer', 'alerter']) {
    const place = document.getElementById(id);
    const note = () => { if (place.textContent) window.said.push(place.textContent); };
    new MutationObserver(note).observe(place, { childList: true, characterData: true, subtree: true });
  }
}"""
HIDE = "hidden => { Object.defineProperty(document, 'hidden', { value: hidden, configurable: true }); " + (
    "document.dispatchEvent(new Event('visibilitychange')); }"
)


def minute(page: Page, asked: list[str]) -> list[str]:
    """Let a minute pass, five seconds at a time so that the server can answer; return the URLs polled meanwhile."""
    page.wait_for_function(SETTLED)
    asked.clear()
    for _ in range(12):
        page.clock.run_for(5_000)
        page.wait_for_function(SETTLED)
    return list(asked)


@pytest.fixture
def asked(tab: Page) -> list[str]:
    """The URLs that the page polls, in order."""
    found: list[str] = []

    def note(request: Request) -> None:
        if POLLS.search(request.url):
            found.append(request.url)

    tab.on("request", note)
    return found


def test_an_unchanged_poll_moves_nothing(tab: Page, inbox: InboxServer) -> None:
    """The answer is 304 with an empty body, and the part does not change."""
    inbox.open(tab, RUI)
    poll(tab, "list")  # the conversation was read on opening
    poll(tab, "thread")
    tab.evaluate(OBSERVE, "[data-poll]")
    assert [poll(tab, "list"), poll(tab, "thread")] == [304, 304]
    assert tab.evaluate("window.changes") == []


def test_the_list_asks_twice_a_minute_and_a_thread_four_times(tab: Page, inbox: InboxServer, asked: list[str]) -> None:
    """Polls per minute, one more or less: the list 2, a conversation 4, the Jobs page without a job 4."""
    inbox.open(tab, RUI)
    minute(tab, asked)
    minutely = minute(tab, asked)
    assert sum("/inbox/list" in each for each in minutely) in (1, 2, 3)
    assert sum("/messages" in each for each in minutely) in (3, 4, 5)
    tab.goto(f"{inbox.url}/jobs")
    assert len(minute(tab, asked)) in (3, 4, 5)


def test_a_poll_that_finds_a_change_updates_row_and_conversation_together(tab: Page, inbox: InboxServer) -> None:
    inbox.open(tab, RUI)
    tab.wait_for_function(SETTLED)
    poll(tab, "list")
    poll(tab, "thread")
    inbox.write(RUI, "Both know")
    tab.clock.run_for(16_000)  # the thread's timer
    expect(tab.locator(".bubble", has_text="Both know")).to_be_visible()
    expect(tab.locator(f"#c{inbox.conversation(RUI)} .row-text")).to_contain_text("Both know")


def test_a_hidden_tab_is_silent_and_catches_up_when_it_is_seen_again(
    tab: Page, inbox: InboxServer, asked: list[str]
) -> None:
    """No request in a hidden minute; on return both parts within a second."""
    inbox.open(tab, RUI)
    tab.evaluate(HIDE, True)
    assert minute(tab, asked) == []
    inbox.write(CAMILLE, "I am back")
    with (
        tab.expect_response(re.compile("/inbox/list"), timeout=1_000),
        tab.expect_response(re.compile("/messages"), timeout=1_000),
    ):
        tab.evaluate(HIDE, False)
    expect(tab.locator(".row").first).to_contain_text("I am back")


def test_updates_can_be_paused(tab: Page, inbox: InboxServer, asked: list[str]) -> None:
    """A button pauses updates; pressing it again catches up."""
    inbox.open(tab, RUI)
    pause = tab.get_by_role("button", name="Pause automatic updates")
    pause.click()
    expect(tab.locator("#updated")).to_have_text("Paused")
    assert minute(tab, asked) == []
    with tab.expect_response(re.compile("/inbox/list")):
        pause.click()
    expect(pause).to_have_attribute("aria-pressed", "false")


def test_a_new_message_moves_nothing_under_the_reader(tab: Page, inbox: InboxServer) -> None:
    """Focus, scroll, selection and typed text stay; the message appears."""
    inbox.write(LEA, *(f"Line {number}" for number in range(40)))
    inbox.open(tab, LEA)
    tab.evaluate("document.querySelector('#conv-scroll').scrollTop = 500")
    tab.evaluate("""() => {
      document.querySelector('#q').value = 'lea';
      const words = [...document.querySelectorAll('.bubble p')].find((each) => each.textContent === 'Line 38');
      getSelection().selectAllChildren(words);
      document.querySelectorAll('.row-link')[12].focus({ preventScroll: true });
    }""")
    state = """() => [document.activeElement.getAttribute('href'), document.querySelector('#conv-scroll').scrollTop,
      getSelection().toString(), document.querySelector('#q').value]"""
    before = tab.evaluate(state)
    assert before[2:] == ["Line 38", "lea"]
    inbox.write(LEA, "One more thing")
    assert poll(tab, "thread") == 200
    poll(tab, "list")
    expect(tab.locator(".row").first).to_contain_text("One more thing")
    expect(tab.locator(".bubble", has_text="One more thing")).to_be_visible()
    assert tab.evaluate(state) == before


def test_a_focused_row_shows_a_new_message(tab: Page, inbox: InboxServer) -> None:
    tab.goto(f"{inbox.url}/inbox")
    tab.keyboard.press("j")
    tab.keyboard.press("j")
    row = tab.evaluate("document.activeElement.closest('.row').id")
    with transaction.write() as tx:
        found = db.update(Conversation).where(Conversation.id == int(row[1:]))
        tx.execute(found.values(last_message_preview="Changed", unread_count=7))
        tx.mark_changed(inbox.account.id)
    assert poll(tab, "list") == 200
    expect(tab.locator(f"#{row} .row-text")).to_have_text(re.compile(r"Changed\s*Not read by any user\.\s*7 unread"))
    assert tab.evaluate("document.activeElement.closest('.row').id") == row


def test_a_banner_appears_after_two_failures_not_after_one(tab: Page, inbox: InboxServer) -> None:
    """No banner after one failure, one with a countdown after two; rows stay; each change is announced once."""
    inbox.open(tab, RUI)
    tab.evaluate(LISTEN)
    rows = tab.locator(".row").count()

    def broken(route: Route) -> None:
        route.fulfill(status=500)

    tab.route(re.compile("/inbox/list"), broken)
    assert poll(tab, "list") == 500
    expect(tab.locator("#stale")).to_be_hidden()
    assert poll(tab, "list") == 500
    expect(tab.locator("#stale")).to_contain_text("Can’t reach the server.")
    expect(tab.locator("#stale")).to_contain_text(re.compile(r"Retrying in (2\d|30) s\."))
    tab.clock.run_for(5_000)
    expect(tab.locator("#stale-next")).to_have_text(re.compile(r"2[0-5]"))
    assert tab.locator(".row").count() == rows
    assert tab.locator(".toast").count() == 0
    tab.unroute(re.compile("/inbox/list"))
    with tab.expect_response(re.compile("/inbox/list")):
        tab.get_by_role("button", name="Retry now").click()
    expect(tab.locator("#stale")).to_be_hidden()
    alert, restored = "Can’t reach the server. Showing older messages.", "Connection restored"
    assert tab.evaluate("window.said") == [alert, restored]


def test_a_session_that_has_ended_leads_to_the_sign_in_page_and_back(tab: Page, inbox: InboxServer) -> None:
    """The next poll leads to login with `next`; login markup is never inside the list."""
    inbox.open(tab, RUI)
    tab.evaluate("""() => new MutationObserver(() => {
      if (document.querySelector('#conv-list input[type=password], #thread-pane input[type=password]'))
        localStorage.setItem('leaked', 'yes');
    }).observe(document.body, { childList: true, subtree: true })""")
    tab.context.clear_cookies()
    tab.evaluate("htmx.trigger(document.querySelector('#conv-list'), 'poll:now')")
    tab.wait_for_url(re.compile(rf"/login\?next=.*inbox.*{inbox.conversation(RUI)}"))
    assert tab.evaluate("localStorage.getItem('leaked')") is None


def test_a_deleted_conversation_is_reported_in_a_toast(tab: Page, inbox: InboxServer) -> None:
    tab.goto(f"{inbox.url}/inbox")
    tab.evaluate("document.querySelector('.row-link').setAttribute('hx-get', '/inbox/99999')")
    tab.evaluate("htmx.process(document.querySelector('.row-link'))")
    tab.locator(".row-link").first.click()
    expect(tab.get_by_role("region", name="Notifications").locator(".toast")).to_be_visible()
    found = Axe().run(tab, options={"runOnly": {"type": "rule", "values": ["region"]}}).response
    assert found["violations"] == []
    expect(tab.locator(".row")).not_to_have_count(0)


def test_the_title_of_the_tab_counts_unread_conversations(tab: Page, inbox: InboxServer) -> None:
    tab.goto(f"{inbox.url}/inbox")
    inbox.write(CAMILLE, "Bonjour")
    poll(tab, "list")
    expect(tab).to_have_title(re.compile(r"^\([1-9]\d*\) Inbox · Nametag$"))
    count = tab.title().partition(" ")[0]
    inbox.open(tab, CAMILLE)
    poll(tab, "list")
    expect(tab).to_have_title(re.compile(r"^(\([1-9]\d*\) )?Camille Roux · Inbox · Nametag$"))
    assert not tab.title().startswith(count)  # this conversation is read


def test_nothing_near_the_open_user_menu_is_too_small_to_hit(tab: Page, inbox: InboxServer) -> None:
    tab.goto(f"{inbox.url}/inbox")
    tab.locator(".rail-me summary").click()
    found = Axe().run(tab, options={"runOnly": {"type": "rule", "values": ["target-size"]}}).response
    assert [node["html"] for each in found["violations"] for node in each["nodes"]] == []


def test_news_of_the_list_are_told_together_and_seldom(tab: Page, inbox: InboxServer) -> None:
    """ "2 new messages in 2 conversations", at most every 30 seconds; nothing for what is unchanged."""
    tab.goto(f"{inbox.url}/inbox")
    tab.evaluate(LISTEN)
    inbox.write(RUI, "One")
    inbox.write(CAMILLE, "Two")
    poll(tab, "list")
    inbox.write(RUI, "Three")
    poll(tab, "list")
    poll(tab, "list")
    assert tab.evaluate("window.said") == ["2 new messages in 2 conversations"]
    tab.clock.run_for(31_000)
    expect(tab.locator("#announcer")).to_have_text("2 new messages in 2 conversations")


def test_a_conversation_answered_from_a_phone_leaves_the_needs_reply_list(tab: Page, inbox: InboxServer) -> None:
    who = "1520000000077001"
    inbox.write(who, "Is it still available?", "In blue?", ago=timedelta(hours=23, minutes=20))
    tab.goto(f"{inbox.url}/inbox?filter=needs_reply")
    row = tab.locator(f"#c{inbox.conversation(who)}")
    expect(row.locator(".row-window")).to_have_text(re.compile("^(39|40) min left$"))
    assert poll(tab, "list") == 304
    inbox.deliver(an_echo_event(who, "Yes, in blue too."))
    assert poll(tab, "list") == 200
    expect(row).to_have_count(0)


def test_w_marks_that_no_reply_is_needed(tab: Page, inbox: InboxServer) -> None:
    who = "1520000000077002"
    inbox.write(who, "Thank you")
    inbox.open(tab, who)
    for offered in ("Needs reply", "No reply needed"):
        tab.keyboard.press("w")
        expect(tab.locator("[data-key=w]")).to_have_attribute("aria-label", offered)
        tab.wait_for_function(SETTLED)
