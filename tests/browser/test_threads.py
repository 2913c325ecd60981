"""An open conversation: senders, new and older messages, and late answers of other conversations."""

import re
import time
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Page, Request, Route, expect
from sqlalchemy import update

from app import clock
from app.db import transaction
from app.models.conversation import Message
from app.users import users
from app.viewer import OPERATOR, Role
from tests.browser.inbox_server import OTHERS, PASSWORD, SETTLED, InboxServer, poll
from tests.factories import CAMILLE, LEA, MAISON_LUNE, RUI, a_message_event, an_echo_event
from tests.support.waiting import until

RUNS = """() => [...document.querySelectorAll('.message')].map((message) => {
  const run = message.closest('.talk'), head = run && run.querySelector('.talk-head');
  return [message.innerText.trim(), run && run.dataset.side, head && head.offsetHeight > 0 && head.innerText];
})"""
SCROLLED = "() => { const box = document.querySelector('#messages-scroll'); return [box.scrollTop, box.scrollHeight]; }"
PLACE = """words => [...document.querySelectorAll('.bubble')].find((each) => each.textContent.trim() === words)
  .getBoundingClientRect().top"""


def about(inbox: InboxServer, who: str, **what: Any) -> None:
    """Deliver an event about a message."""
    at_ms = int(clock.now().timestamp() * 1000)
    inbox.deliver({"sender": {"id": who}, "recipient": {"id": MAISON_LUNE}, "timestamp": at_ms} | what)


def open_by_click(page: Page, inbox: InboxServer, who: str) -> None:
    """Open a conversation from the list."""
    page.locator(f"#c{inbox.conversation(who)} .row-link").click()
    expect(page.locator(f"#thread-{inbox.conversation(who)}")).to_be_visible()
    page.wait_for_function(SETTLED)


def test_a_late_answer_is_never_shown_in_another_conversation(tab: Page, inbox: InboxServer) -> None:
    """An answer and a poll of one conversation arrive after another row was clicked."""
    lea, rui = inbox.conversation(LEA), inbox.conversation(RUI)
    tab.goto(f"{inbox.url}/inbox")

    def late(route: Route) -> None:
        time.sleep(1.2)
        route.continue_()

    tab.route(re.compile(rf"/inbox/{lea}\?"), late)
    tab.locator(f"#c{lea} .row-link").click(no_wait_after=True)
    open_by_click(tab, inbox, RUI)
    tab.unroute(re.compile(rf"/inbox/{lea}\?"))
    tab.route(re.compile(rf"/inbox/{rui}/messages"), late)
    tab.evaluate("htmx.trigger(document.querySelector('[data-poll=thread]'), 'poll:now')")
    open_by_click(tab, inbox, CAMILLE)
    poll(tab, "list")
    expect(tab.locator("#thread-name")).to_have_text("Camille Roux")
    expect(tab.locator(f"#thread-{inbox.conversation(CAMILLE)} .bubble")).to_contain_text("Hello from Camille Roux")
    assert tab.locator(".thread").count() == 1
    assert tab.url.endswith(f"/inbox/{inbox.conversation(CAMILLE)}?account={MAISON_LUNE}")


def test_back_leads_through_the_threads_and_nothing_of_them_is_stored(tab: Page, inbox: InboxServer) -> None:
    """Back after five conversations shows the right one in a full page, whose buttons work."""
    tab.goto(f"{inbox.url}/inbox")
    rows = tab.locator(".row-link").evaluate_all("links => links.slice(3, 8).map((link) => link.getAttribute('href'))")
    for address in rows:
        tab.locator(f".row-link[href='{address}']").click()
        expect(tab.locator(f"#thread-{_number(address)}")).to_be_visible()
        tab.wait_for_function(SETTLED)
    tab.go_back()
    expect(tab.locator(f"#thread-{_number(rows[3])}")).to_be_visible()
    expect(tab.locator(f".row-link[href='{rows[3]}']")).to_have_attribute("aria-current", "true")
    expect(tab.get_by_role("link", name="Jobs")).to_be_visible()
    stored = tab.evaluate("JSON.stringify([{ ...localStorage }, { ...sessionStorage }])")
    assert "Question" not in stored
    assert "Hello" not in stored
    tab.get_by_role("button", name="Pause automatic updates").click()
    expect(tab.locator("#updated")).to_have_text("Paused")


def test_after_signing_out_back_shows_no_message(page: Page, inbox: InboxServer) -> None:
    users.add_user(
        OPERATOR, "leaving@example.com", role=Role.AGENT, password=PASSWORD
    )  # signing out ends all of her sessions
    inbox.sign_in(page, "leaving@example.com")
    inbox.open(page, LEA)
    expect(page.locator(".bubble").first).to_contain_text("Hello from Léa Moreau")
    page.evaluate("document.querySelector('form[action=\"/logout\"]').requestSubmit()")
    page.wait_for_url("**/login*")
    page.go_back()
    page.wait_for_url(re.compile("/login.next="))
    assert "Hello from" not in page.content()


def test_every_message_is_below_the_name_of_its_sender(tab: Page, inbox: InboxServer) -> None:
    """Messages of the account are by "You", others by the contact; an unknown sender is neither."""
    inbox.deliver(an_echo_event(CAMILLE, "Avec plaisir."))
    inbox.write(CAMILLE, "Merci !")
    inbox.write(CAMILLE, "Who am I?")
    with transaction.write() as tx:
        strange = update(Message).where(Message.text == "Who am I?")
        tx.execute(strange.values(ig_sender_id="1520000000000777"))
    inbox.open(tab, CAMILLE)
    shown = {words: (side, head) for words, side, head in tab.evaluate(RUNS)}
    assert all(head for _, head in shown.values())
    assert shown["Avec plaisir."][0] == "ours"
    assert shown["Avec plaisir."][1].startswith("You")
    assert shown["Merci !"][0] == "theirs"
    assert shown["Merci !"][1].startswith("Camille Roux")
    assert shown["Who am I?"][0] == "unknown"
    assert "1520000000000777" in shown["Who am I?"][1]
    assert "Camille" not in shown["Who am I?"][1]


def test_new_messages_are_counted_while_the_reader_is_elsewhere(tab: Page, inbox: InboxServer) -> None:
    """At the end the conversation scrolls along; elsewhere a pill counts new messages and leads to them."""
    inbox.write(LEA, *(f"Line {number}" for number in range(40)))
    inbox.open(tab, LEA)
    inbox.write(LEA, "Could you hold it until Saturday? " + "x" * 80)
    poll(tab, "thread")
    top, height = tab.evaluate(SCROLLED)
    assert top + tab.locator("#messages-scroll").bounding_box()["height"] >= height - 1  # type: ignore[index]  # it is shown
    expect(tab.locator("#announcer")).to_have_text(
        re.compile("^Léa Moreau: Could you hold it until Saturday\\? x{46}$")
    )
    until(lambda: inbox.unread(LEA) == 0, "what was seen as it came counts as read")
    tab.locator("#messages-scroll").evaluate("box => { box.scrollTop = 0; }")
    tab.wait_for_function(SETTLED)
    inbox.write(LEA, "And one", "more")
    poll(tab, "thread")
    expect(tab.locator("#announcer")).to_have_text("2 new messages")
    pill = tab.get_by_role("button", name="2 new messages")
    expect(pill).to_be_visible()
    assert inbox.unread(LEA) == 2
    pill.click()
    expect(pill).to_be_hidden()
    expect(tab.locator(".message").get_by_text("more", exact=True)).to_be_in_viewport()


@pytest.mark.parametrize(
    ("who", "moment", "scroll"),
    [
        (OTHERS[11], "htmx:beforeSwap", "box.scrollTop -= 20"),  # a smooth scroll that has begun
        (
            OTHERS[12],
            "htmx:beforeSwap",
            "box.dispatchEvent(new WheelEvent('wheel', {deltaY: -9, bubbles: true}))",
        ),
        (OTHERS[13], "htmx:afterSwap", "box.scrollTop = 60"),
    ],
)
def test_a_poll_never_undoes_a_scroll_that_the_reader_has_begun(
    tab: Page, inbox: InboxServer, who: str, moment: str, scroll: str
) -> None:
    inbox.write(who, *(f"Line {number}" for number in range(30)))
    inbox.open(tab, who)
    until(lambda: inbox.unread(who) == 0, "opening reads")
    tab.wait_for_function(SETTLED)
    inbox.write(who, "One more", "and another")
    began = f"""() => addEventListener({moment!r}, ({{ target }}) => {{
      if (!target.id.startsWith('msgs-')) return;
      const box = document.querySelector('#messages-scroll');
      {scroll};
      window.begun = box.scrollTop;
    }}, {{ capture: {str(moment == "htmx:beforeSwap").lower()} }})"""
    tab.evaluate(began)
    poll(tab, "thread")
    assert tab.evaluate(SCROLLED)[0] == tab.evaluate("window.begun")


def test_a_scroll_that_ends_near_the_end_follows_new_messages_again(tab: Page, inbox: InboxServer) -> None:
    inbox.write(OTHERS[14], *(f"Line {number}" for number in range(30)))
    inbox.open(tab, OTHERS[14])
    tab.locator("#messages-scroll").hover()
    with tab.expect_console_message(lambda message: message.text == "scrolled"):
        tab.evaluate("addEventListener('scrollend', () => console.log('scrolled'), { capture: true, once: true })")
        tab.mouse.wheel(0, -30)
    inbox.write(OTHERS[14], "The latest")
    poll(tab, "thread")
    expect(tab.locator(".bubble", has_text="The latest")).to_be_in_viewport()
    expect(tab.locator("#thread-new")).to_be_hidden()


def test_older_messages_and_rows_follow_and_keep_the_place(tab: Page, inbox: InboxServer) -> None:
    """Reaching the top brings older messages, reaching the end older rows; nothing jumps."""
    inbox.write(RUI, *(f"Story {number}" for number in range(160)), ago=timedelta(minutes=10))
    inbox.open(tab, RUI)
    assert tab.locator(".message").count() == 50
    tab.locator("#messages-scroll").evaluate("box => { box.scrollTop = 30; }")
    before = tab.evaluate(PLACE, "Story 112")
    expect(tab.locator(".message")).to_have_count(100)
    tab.wait_for_function(SETTLED)
    assert abs(tab.evaluate(PLACE, "Story 112") - before) <= 2
    poll(tab, "thread")
    assert tab.locator(".message").count() == 100
    rows = tab.locator(".row").count()
    tab.locator("#conv-scroll").evaluate("box => { box.scrollTop = box.scrollHeight; }")
    expect(tab.locator(".row")).not_to_have_count(rows)
    tab.wait_for_function(SETTLED)
    inbox.write(CAMILLE, "On top")
    poll(tab, "list")
    ids = tab.locator(".row").evaluate_all("rows => rows.map((row) => row.id)")
    assert len(ids) == len(set(ids)) == 64
    assert ids[0] == f"c{inbox.conversation(CAMILLE)}"


def test_a_spinner_shows_while_older_rows_load(tab: Page, inbox: InboxServer) -> None:
    held: list[Route] = []
    tab.route(re.compile("/inbox/list/more"), lambda route: held.append(route))
    tab.goto(f"{inbox.url}/inbox")
    expect(tab.locator(".list-more .spinner")).to_be_hidden()
    tab.locator("#conv-scroll").evaluate("box => { box.scrollTop = box.scrollHeight; }")
    expect(tab.locator(".list-more .spinner")).to_be_visible()
    until(lambda: tab.evaluate("true") and held, "the request is held")
    held[0].continue_()
    expect(tab.locator(".list-more .spinner")).to_have_count(0)


def test_what_was_unread_on_opening_stays_marked_as_new(tab: Page, inbox: InboxServer) -> None:
    """The divider stays until the thread is left; U makes it unread again, and read."""
    inbox.open(tab, LEA)
    until(lambda: inbox.unread(LEA) == 0, "opening reads")
    inbox.write(LEA, "Fresh")
    tab.goto(f"{inbox.url}/inbox")
    open_by_click(tab, inbox, LEA)
    until(lambda: inbox.unread(LEA) == 0, "opening reads")
    poll(tab, "thread")
    expect(tab.locator("#new + .talk")).to_contain_text("Fresh")
    expect(tab).to_have_title(re.compile("lea.moreau"))
    tab.keyboard.press("u")
    expect(tab.get_by_role("button", name="Mark as read", exact=True)).to_be_visible()
    assert inbox.unread(LEA) == 1
    tab.wait_for_function(SETTLED)
    tab.keyboard.press("u")
    expect(tab.get_by_role("button", name="Mark as unread")).to_be_visible()
    assert inbox.unread(LEA) == 0
    open_by_click(tab, inbox, CAMILLE)
    open_by_click(tab, inbox, LEA)
    expect(tab.locator("#new")).to_have_count(0)


def test_the_first_new_message_is_one_click_away(tab: Page, inbox: InboxServer) -> None:
    inbox.open(tab, OTHERS[20])
    until(lambda: inbox.unread(OTHERS[20]) == 0, "opening reads")
    inbox.write(OTHERS[20], *(f"New {number}" for number in range(33)))
    inbox.open(tab, OTHERS[20])
    tab.get_by_role("link", name="First new message").click()
    expect(tab.locator("#new")).to_be_in_viewport()
    expect(tab.locator("#messages-scroll")).to_be_focused()
    expect(tab.locator("#thread-first")).to_have_count(0)
    inbox.write(OTHERS[21], "One")
    inbox.open(tab, OTHERS[21])
    expect(tab.locator("#new")).to_be_in_viewport()
    expect(tab.locator("#thread-first")).to_have_count(0)


def test_the_time_of_each_message_shows_on_hover_and_focus(tab: Page, inbox: InboxServer) -> None:
    shown = "message => getComputedStyle(message, '::after').content"
    inbox.open(tab, LEA)
    message = tab.locator(".message").last
    tab.locator("#q").focus()
    assert message.evaluate(shown) == "none"
    message.hover()
    assert re.fullmatch(r'"\d\d:\d\d"', message.evaluate(shown))
    tab.mouse.move(0, 0)
    tab.keyboard.press("Tab")
    tab.locator("#messages-scroll").focus()
    assert re.fullmatch(r'"\d\d:\d\d"', message.evaluate(shown))


@pytest.mark.parametrize(("width", "who"), [(1440, OTHERS[22]), (700, OTHERS[23])])
def test_printing_prints_every_loaded_message(tab: Page, inbox: InboxServer, width: int, who: str) -> None:
    tab.set_viewport_size({"width": width, "height": 900})
    inbox.write(who, *(f"Printed {number}" for number in range(45)))
    inbox.open(tab, who)
    tab.emulate_media(media="print")
    page = tab.evaluate("document.documentElement.scrollHeight")
    for words in ("Printed 0", "Printed 44"):
        box = tab.locator(".bubble").get_by_text(words, exact=True).bounding_box()
        assert box is not None
        assert 0 <= box["y"] < page
    assert tab.evaluate("getComputedStyle(document.body).overflow") == "visible"
    assert page > 1500
    assert not tab.locator(".rail, .inbox-list, .thread-foot, .details").filter(visible=True).count()


def test_what_cannot_be_shown_is_said_and_what_is_shown_is_safe(tab: Page, inbox: InboxServer) -> None:
    """A picture, the only thing from another host, becomes text if it fails; nothing there learns who asks."""
    gone = [{"type": "image", "payload": {"url": "https://scontent.cdninstagram.com/gone.jpg"}}]
    inbox.deliver(a_message_event(CAMILLE, None, attachments=gone))
    inbox.write(CAMILLE, "See https://example.com/a, javascript:alert(1) https://a@example.com //example.com https:b")
    asked: list[Request] = []
    tab.on("request", lambda request: asked.append(request))
    tab.route(re.compile("cdninstagram"), lambda route: route.fulfill(status=403))
    inbox.open(tab, CAMILLE)
    expect(tab.locator(".placeholder-media")).to_have_text("Photo no longer available")
    elsewhere = [request for request in asked if not request.url.startswith((inbox.url, "data:"))]
    assert {request.url for request in elsewhere} == {"https://scontent.cdninstagram.com/gone.jpg"}
    assert all("referer" not in request.all_headers() for request in elsewhere)
    box = tab.locator(".placeholder-media").bounding_box()
    assert box is not None
    assert (round(box["width"]), round(box["height"])) == (240, 64)
    links = tab.locator(".bubble a")
    expect(links).to_have_count(1)
    assert links.get_attribute("href") == "https://example.com/a"
    assert links.get_attribute("rel") == "noopener noreferrer nofollow"


def test_a_reaction_is_said_in_the_list_until_somebody_writes(tab: Page, inbox: InboxServer) -> None:
    """ "Reacted ❤️ to your message" as the last thing that happened, and the pill with its sentence."""
    inbox.deliver(an_echo_event(RUI, "For you", mid="for-rui", at_ms=int(clock.now().timestamp() * 1000) - 1000))
    about(inbox, RUI, reaction={"mid": "for-rui", "action": "react", "emoji": "❤️"})
    inbox.open(tab, RUI)
    expect(tab.locator(f"#c{inbox.conversation(RUI)} .row-text")).to_have_text("Reacted ❤️ to your message")
    expect(tab.get_by_role("img", name="@rui.costa reacted with ❤️")).to_be_visible()
    about(inbox, RUI, reaction={"mid": "for-rui", "action": "unreact"})
    poll(tab, "list")
    expect(tab.locator(f"#c{inbox.conversation(RUI)} .row-text")).to_contain_text("For you")


def _number(address: str) -> str:
    return address.rpartition("/")[2].partition("?")[0]
