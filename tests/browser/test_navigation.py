"""Account, filter, search and scroll positions survive navigation, on every width."""

import re
from datetime import timedelta

import pytest
from playwright.sync_api import Browser, Page, Route, ViewportSize, expect

from app import clock
from app.db import transaction
from app.db.engine import db
from app.identities import observations
from app.identities.observations import ProfileObservation
from app.models.identity import Source
from tests.browser.inbox_server import SETTLED, InboxServer, poll
from tests.factories import (
    ATELIER_NORD,
    CAMILLE,
    LEA,
    MAISON_LUNE,
    RUI,
    UNKNOWN_PERSON,
    a_delivery,
    a_message_event,
    an_account,
)
from tests.support.waiting import until
from tests.support.webhooks import receive_webhook

PHONE: ViewportSize = {"width": 390, "height": 844}
GUEST = "1520000000000505"  # writes to the second account
TOP = "() => document.querySelector('#conv-scroll').scrollTop"
LOADED = "() => document.querySelectorAll('.row').length"
FOCUSED_ROW = "() => document.activeElement.closest('.row')?.id"


@pytest.fixture(scope="module")
def second_account(inbox: InboxServer) -> None:
    """A second account, to which one contact has written."""
    an_account(ATELIER_NORD, connected_at=clock.now() - timedelta(days=20))
    body = a_delivery(a_message_event(GUEST, "Hello, atelier", recipient=ATELIER_NORD), ig_account_id=ATELIER_NORD)
    receive_webhook(body)
    db.session.rollback()


def row(inbox: InboxServer, who: str) -> str:
    """Return the selector of a contact's row."""
    return f"#c{inbox.conversation(who)} .row-link"


@pytest.mark.usefixtures("second_account")
def test_the_account_is_kept_on_every_page_and_by_the_way_back(tab: Page, inbox: InboxServer) -> None:
    tab.goto(f"{inbox.url}/inbox?account={ATELIER_NORD}")
    tab.locator(row(inbox, GUEST)).click()
    tab.wait_for_url(re.compile(rf"/inbox/\d+\?account={ATELIER_NORD}"))
    for path in ("/accounts", "/insights", "/settings", "/users", "/audit", "/jobs", "/inbox", "/"):
        tab.goto(inbox.url + path)
        expect(tab.locator(".rail-account summary")).to_contain_text("atelier.nord")
    expect(tab.locator(".row")).to_have_count(1)
    tab.goto(f"{inbox.url}/inbox/{inbox.conversation(GUEST)}")
    tab.set_viewport_size(PHONE)
    tab.get_by_role("link", name="Back to the list").click()
    expect(tab.locator(row(inbox, GUEST))).to_be_visible()
    expect(tab.locator(".list-account summary")).to_contain_text("atelier.nord")
    tab.goto(f"{inbox.url}/inbox?account={MAISON_LUNE}")


def test_escape_clears_the_search_and_its_list_and_then_leaves_it(tab: Page, inbox: InboxServer) -> None:
    tab.goto(f"{inbox.url}/inbox")
    loaded = tab.evaluate(LOADED)
    tab.keyboard.press("/")
    tab.keyboard.type("rui.costa")
    tab.clock.run_for(300)
    expect(tab.locator(".row")).to_have_count(1)
    tab.keyboard.press("Escape")
    expect(tab.locator("#q")).to_have_value("")
    expect(tab.locator(".row")).to_have_count(loaded)
    expect(tab.locator("#q")).to_be_focused()
    tab.wait_for_url(lambda url: "q=" not in url)
    tab.keyboard.type("rui.costa")
    tab.clock.run_for(300)
    expect(tab.locator(".row")).to_have_count(1)
    tab.keyboard.press("ArrowDown")
    assert tab.evaluate(FOCUSED_ROW) == f"c{inbox.conversation(RUI)}"
    tab.locator("#q").focus()
    tab.keyboard.press("Escape")
    tab.keyboard.press("Escape")
    expect(tab.locator("#q")).not_to_be_focused()


def test_an_opened_row_stays_in_a_filtered_list_until_the_next_is_opened(tab: Page, inbox: InboxServer) -> None:
    inbox.mark_all(0)
    for who in (CAMILLE, RUI, LEA):
        inbox.write(who, "Unread")
    tab.goto(f"{inbox.url}/inbox?filter=unread")
    for _ in range(2):
        tab.keyboard.press("j")
    tab.keyboard.press("Enter")
    expect(tab.locator(f"#thread-{inbox.conversation(RUI)}")).to_be_visible()
    until(lambda: inbox.unread(RUI) == 0, "opening reads")
    poll(tab, "list")
    expect(tab.locator(row(inbox, RUI))).to_have_attribute("aria-current", "true")
    expect(tab.locator(".row")).to_have_count(3)
    tab.keyboard.press("j")
    expect(tab.locator(f"#thread-{inbox.conversation(CAMILLE)}")).to_be_visible()
    until(lambda: inbox.unread(CAMILLE) == 0, "opening reads")
    poll(tab, "list")
    expect(tab.locator(row(inbox, RUI))).to_have_count(0)
    expect(tab.locator(".row")).to_have_count(2)
    tab.keyboard.press("k")
    expect(tab.locator(f"#thread-{inbox.conversation(LEA)}")).to_be_visible()


def test_filter_and_search_survive_reload_and_back(tab: Page, inbox: InboxServer) -> None:
    tab.goto(f"{inbox.url}/inbox?filter=unknown")
    links = tab.locator(".row-link")
    for place in (0, 1):
        links.nth(place).click()
        expect(links.nth(place)).to_have_attribute("aria-current", "true")
        tab.wait_for_function(SETTLED)
    tab.reload()
    expect(tab.locator(".segment-choice[aria-current]")).to_contain_text("Unknown")
    tab.go_back()
    expect(links.nth(0)).to_have_attribute("aria-current", "true")
    expect(tab.locator(".segment-choice[aria-current]")).to_contain_text("Unknown")
    tab.goto(f"{inbox.url}/inbox?q=rui.costa")
    tab.locator(row(inbox, RUI)).click()
    expect(tab.locator(".thread")).to_be_visible()
    tab.wait_for_function(SETTLED)
    tab.reload()
    expect(tab.locator("#q")).to_have_value("rui.costa")
    expect(tab.locator(".row")).to_have_count(1)


def test_reaching_the_end_of_a_thread_reads_it(tab: Page, inbox: InboxServer) -> None:
    inbox.write(LEA, *(f"Line {number}" for number in range(40)))
    inbox.open(tab, LEA)
    until(lambda: inbox.unread(LEA) == 0, "opening reads")
    for reach in ("pill", "scrolling"):
        tab.locator("#messages-scroll").evaluate("box => { box.scrollTop = 0; }")
        tab.wait_for_function(SETTLED)
        inbox.write(LEA, f"By {reach}", "Again")
        poll(tab, "thread")
        pill = tab.get_by_role("button", name="2 new messages")
        expect(pill).to_be_visible()
        if reach == "pill":
            pill.click()
        else:
            tab.locator("#messages-scroll").evaluate("box => { box.scrollTop = box.scrollHeight; }")
        until(lambda: inbox.unread(LEA) == 0, "reaching the end reads")
        expect(tab.locator(f"{row(inbox, LEA)} .row-badge")).to_have_count(0)


def test_keys_scroll_an_opened_thread(tab: Page, inbox: InboxServer) -> None:
    inbox.write(LEA, *(f"Line {number}" for number in range(40)))
    tab.goto(f"{inbox.url}/inbox")
    tab.keyboard.press("j")
    tab.keyboard.press("Enter")
    box = tab.locator("#messages-scroll")
    expect(box).to_be_focused()
    until(lambda: _at_top_by_home(tab), "Home leads to the first message")
    tab.keyboard.press("Space")
    tab.wait_for_function("() => document.querySelector('#messages-scroll').scrollTop > 0")
    inbox.open(tab, LEA)  # a pasted link: nothing has the focus
    until(lambda: _at_top_by_home(tab), "Home leads to the first message")


def _at_top_by_home(tab: Page) -> bool:
    """Press Home. The first time may load older messages, which moves the place."""
    tab.keyboard.press("Home")
    return bool(tab.evaluate("document.querySelector('#messages-scroll').scrollTop === 0"))


def test_a_poll_keeps_the_rows_that_were_loaded_behind_its_own(tab: Page, inbox: InboxServer) -> None:
    tab.goto(f"{inbox.url}/inbox")
    tab.locator("#conv-scroll").evaluate("box => { box.scrollTop = box.scrollHeight; }")
    expect(tab.locator(".row")).not_to_have_count(40)
    tab.wait_for_function(SETTLED)
    loaded = tab.evaluate(LOADED)
    tab.locator("#conv-scroll").evaluate("box => { box.scrollTop = box.scrollHeight; }")
    place = tab.evaluate(TOP)

    def capped(route: Route) -> None:
        route.continue_(url=re.sub(r"limit=\d+", "limit=40", route.request.url))

    tab.route(re.compile("/inbox/list\\?"), capped)
    inbox.write(CAMILLE, "On top of a long list")
    assert poll(tab, "list") == 200
    ids = tab.locator(".row").evaluate_all("rows => rows.map((row) => row.id)")
    assert len(ids) == len(set(ids)) == loaded
    assert ids[0] == f"c{inbox.conversation(CAMILLE)}"
    assert tab.evaluate(TOP) == place


def test_a_click_with_ctrl_opens_a_tab_and_reads_nothing_here(tab: Page, inbox: InboxServer) -> None:
    tab.goto(f"{inbox.url}/inbox")
    with tab.context.expect_page() as opened:
        tab.locator(row(inbox, RUI)).click(modifiers=["Control"])
    opened.value.wait_for_url(re.compile(rf"/inbox/{inbox.conversation(RUI)}\?"))
    opened.value.close()
    expect(tab.locator(".thread")).to_have_count(0)


def test_reply_leads_to_the_contact_and_the_username_can_be_copied(tab: Page, inbox: InboxServer) -> None:
    tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    inbox.open(tab, LEA)
    reply = tab.get_by_role("link", name="Reply in Instagram")
    expect(reply).to_have_attribute("href", "https://ig.me/m/lea.moreau")
    tab.get_by_role("button", name="Copy username").click()
    expect(tab.locator(".toast")).to_contain_text("copied")
    assert tab.evaluate("navigator.clipboard.readText()") == "lea.moreau"
    inbox.open(tab, UNKNOWN_PERSON)
    expect(reply).to_have_attribute("href", "https://www.instagram.com/direct/inbox/")
    expect(tab.get_by_role("button", name="Copy username")).to_have_count(0)


def test_every_clock_shows_the_zone_of_the_settings(tab: Page, inbox: InboxServer) -> None:
    tab.goto(f"{inbox.url}/settings")
    tab.get_by_label("Time zone of dates and times").select_option("Asia/Tokyo")
    tab.get_by_role("button", name="Save time zone").click()
    inbox.open(tab, LEA)
    tab.clock.run_for(31_000)
    shown = tab.locator(".talk-head time").first.evaluate("""(time) => [time.textContent, new Intl.DateTimeFormat(
      'en-GB', { hour: '2-digit', minute: '2-digit', timeZone: 'Asia/Tokyo' }).format(new Date(time.dateTime))]""")
    assert shown[0] == shown[1]
    tab.context.add_cookies([{"name": "zone", "value": "Factory", "url": inbox.url}])
    inbox.open(tab, LEA)  # an unknown time zone breaks nothing
    expect(tab.locator("#updated")).to_contain_text("Updated")


@pytest.mark.parametrize("width", [1440, 390])
def test_an_unreachable_server_is_shown_beside_an_open_thread(tab: Page, inbox: InboxServer, width: int) -> None:
    tab.set_viewport_size({"width": width, "height": 844})
    inbox.open(tab, RUI)
    expect(tab.locator("#updated")).to_contain_text("Updated")
    tab.route(re.compile("/inbox/"), lambda route: route.abort())
    tab.evaluate("htmx.trigger(document.querySelector('[data-poll=thread]'), 'poll:now')")
    expect(tab.locator("#stale")).to_be_visible()
    expect(tab.locator("#stale")).to_contain_text("Can’t reach the server.")
    tab.unroute(re.compile("/inbox/"))
    with tab.expect_response(re.compile("/inbox/list")):
        tab.evaluate("dispatchEvent(new Event('online'))")
    expect(tab.locator("#stale")).to_be_hidden()
    tab.evaluate("dispatchEvent(new Event('offline'))")
    expect(tab.locator("#stale")).to_be_visible()


def test_a_failed_click_keeps_the_badge_and_repeats_no_toast(tab: Page, inbox: InboxServer) -> None:
    inbox.write(CAMILLE, "Unread")
    tab.goto(f"{inbox.url}/inbox")
    tab.route(re.compile(r"/inbox/"), lambda route: route.abort())
    for _ in range(2):
        tab.locator(row(inbox, CAMILLE)).click()
        expect(tab.locator(".toast")).to_have_count(1)
    expect(tab.locator(f"{row(inbox, CAMILLE)} .row-badge")).to_be_visible()


def test_the_age_of_the_list_is_shown_in_seconds(tab: Page, inbox: InboxServer) -> None:
    tab.goto(f"{inbox.url}/inbox")
    tab.clock.run_for(12_000)
    expect(tab.locator("#updated")).to_have_text(re.compile(r"Updated 1\d s ago"))


@pytest.mark.parametrize("way", ["arrow", "button"])
def test_back_on_a_phone_keeps_the_place_in_the_list(tab: Page, inbox: InboxServer, way: str) -> None:
    tab.set_viewport_size(PHONE)
    tab.goto(f"{inbox.url}/inbox")
    link = tab.locator(".row-link").nth(25)
    link.scroll_into_view_if_needed()
    place, opened = tab.evaluate(TOP), link.evaluate("link => link.closest('.row').id")
    assert place > 0
    link.click()
    expect(tab.locator(".thread")).to_be_visible()
    tab.wait_for_function(SETTLED)
    if way == "arrow":
        tab.get_by_role("link", name="Back to the list").click()
    else:
        tab.go_back()
    expect(tab.locator(".inbox-list")).to_be_visible()
    tab.wait_for_function(f"() => document.activeElement.closest('.row')?.id === '{opened}'")
    assert abs(tab.evaluate(TOP) - place) < 2
    expect(tab).to_have_title(re.compile(r"^(\(\d+\) )?Inbox · Nametag$"))


@pytest.mark.parametrize("width", [1440, 1100, 800, 390, 320])
def test_a_reload_keeps_the_place_in_the_list(chromium: Browser, inbox: InboxServer, width: int) -> None:
    """Also behind rows that were loaded by scrolling, and on a phone while a conversation hides the list."""
    context = inbox.context(chromium, viewport={"width": width, "height": 844}, reduced_motion="reduce")
    tab = context.new_page()  # without a stopped clock, which hides that the page was reloaded
    tab.goto(f"{inbox.url}/inbox")
    to_end = "box => { box.scrollTop = box.scrollHeight; }"
    tab.locator("#conv-scroll").evaluate(to_end)
    tab.wait_for_function(f"{LOADED} > 45")
    tab.wait_for_function(SETTLED)
    tab.locator("#conv-scroll").evaluate("box => { box.scrollTop = 45 * document.querySelector('.row').offsetHeight; }")
    place = tab.evaluate(TOP)
    assert place > 0
    tab.reload()
    tab.wait_for_function(f"{TOP} === {place}")
    tab.locator(".row-link").nth(47).click()
    expect(tab.locator(".thread")).to_be_visible()
    tab.wait_for_function(SETTLED)
    place = tab.evaluate(TOP) or place
    tab.reload()
    expect(tab.locator(".thread")).to_be_visible()
    if width < 760:
        tab.wait_for_function(f"{LOADED} > 45")
        tab.get_by_role("link", name="Back to the list").click()
    tab.wait_for_function(f"() => Math.abs({TOP[6:]} - {place}) < 2")
    tab.goto(f"{inbox.url}/inbox")  # another visit begins at the top
    assert tab.evaluate(TOP) == 0
    context.close()


@pytest.mark.parametrize("width", [390, 800])
def test_accounts_pages_and_sign_out_are_reachable_on_narrow_screens(tab: Page, inbox: InboxServer, width: int) -> None:
    tab.set_viewport_size({"width": width, "height": 844})
    for path in ("/inbox", "/jobs", "/identities", "/insights"):
        tab.goto(inbox.url + path)
        more = tab.locator(".rail-me > summary")
        expect(more).to_contain_text("More")
        more.click()
        menu = tab.locator(".rail-me .menu-choices")
        for words in ("maison.lune", "Accounts", "Settings", "Dead letters", "Users", "Audit log", "Sign out"):
            choice = menu.get_by_text(words, exact=True)
            expect(choice).to_be_in_viewport(ratio=1)
        box = menu.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
    tab.goto(f"{inbox.url}/inbox")
    tab.locator(".list-account summary").click()
    expect(tab.locator(".list-account .menu-choice").first).to_be_visible()


def test_escape_closes_what_is_open_and_returns_the_focus(tab: Page, inbox: InboxServer) -> None:
    inbox.open(tab, LEA)
    for menu in (".rail-account", ".rail-me"):
        tab.locator(f"{menu} > summary").click()
        expect(tab.locator(f"{menu} .menu-choices")).to_be_visible()
        tab.keyboard.press("Escape")
        expect(tab.locator(f"{menu} .menu-choices")).to_be_hidden()
        expect(tab.locator(f"{menu} > summary")).to_be_focused()
    tab.set_viewport_size({"width": 1100, "height": 800})
    about = tab.get_by_role("button", name="About @lea.moreau")
    about.focus()
    tab.keyboard.press("Enter")
    expect(tab.locator(".details")).to_be_visible()
    tab.keyboard.press("Escape")
    expect(tab.locator(".details")).to_be_hidden()
    expect(about).to_be_focused()
    about.click()
    tab.locator(".details").get_by_role("button", name="Close").click()
    expect(tab.locator(".details")).to_be_hidden()


def test_a_refresh_reports_its_result(tab: Page, inbox: InboxServer) -> None:
    stranger = "1520000000770077"
    inbox.write(stranger, "Who am I?")
    inbox.open(tab, stranger)
    with tab.expect_response(re.compile("/refresh$")):
        tab.keyboard.press("r")
    with tab.expect_response(re.compile(r"/lookup\?since=")):
        tab.clock.run_for(1_000)
    expect(tab.locator(".toast")).to_have_count(1)
    seen = ProfileObservation(
        stranger, username="nora.lind", name=None, picture_url=None, source=Source.PROFILE, at=clock.now()
    )
    with transaction.write() as tx:
        observations.record(tx, inbox.account.id, seen)
    tab.clock.run_for(1_100)
    expect(tab.locator(".toast").last).to_contain_text("Now @nora.lind")
    expect(tab.locator("#thread-name")).to_have_text("@nora.lind")
    expect(tab.locator(row(inbox, stranger))).to_contain_text("@nora.lind")
    tab.keyboard.press("r")
    expect(tab.locator(".toast").last).to_contain_text("s ago.")
