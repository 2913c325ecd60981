"""The inbox by keyboard, in forced colors, with large text, on narrow screens, and without JavaScript."""

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.inbox_server import SETTLED, InboxServer, poll
from tests.factories import CAMILLE, LEA, MAISON_LUNE, RUI, UNKNOWN_PERSON

FOCUSED = (
    "() => { const link = document.activeElement.closest('.row-link'); return link && link.getAttribute('href'); }"
)


def address(inbox: InboxServer, who: str) -> str:
    """Return the URL of a contact's conversation in the list of all."""
    return f"/inbox/{inbox.conversation(who)}?account={MAISON_LUNE}"


def test_keys_move_open_and_lead_back(tab: Page, inbox: InboxServer) -> None:
    """J, K, arrows, Home, End, Enter, Esc, slash; the list is one tab stop."""
    tab.goto(f"{inbox.url}/inbox")
    links = tab.locator(".row-link").evaluate_all("links => links.map((link) => link.getAttribute('href'))")
    assert tab.locator(".row-link[tabindex='0']").count() == 1
    for key, place in (("j", 0), ("j", 1), ("k", 0), ("ArrowDown", 1), ("End", len(links) - 1), ("Home", 0), ("j", 1)):
        tab.keyboard.press(key)
        assert tab.evaluate(FOCUSED) == links[place], key
    tab.keyboard.press("Enter")
    expect(tab.locator("#messages-scroll")).to_be_focused()
    assert tab.url.endswith(links[1])
    tab.keyboard.press("Escape")
    tab.wait_for_function(f"row => ({FOCUSED})() === row", arg=links[1])
    tab.keyboard.press("/")
    expect(tab.locator("#q")).to_be_focused()
    tab.keyboard.type("jk?")
    expect(tab.locator("#q")).to_have_value("jk?")
    for _ in ("it is cleared", "it is left"):
        tab.keyboard.press("Escape")
    expect(tab.locator("#q")).not_to_be_focused()


TAB_STOP = """() => { const at = document.activeElement;
  return at === document.body ? null : `${at.outerHTML.slice(0, 120)} ${at.innerText}`; }"""


def test_an_open_conversation_has_at_most_23_tab_stops(tab: Page, inbox: InboxServer) -> None:
    """From the top of the page to the end of the details."""
    inbox.open(tab, LEA)
    stops: list[str] = []
    while len(stops) < 60:
        tab.keyboard.press("Tab")
        stop = tab.evaluate(TAB_STOP)
        if stop is None:
            break
        stops.append(stop)
    assert len(stops) <= 23, "\n".join(stops)
    assert "Delete contact" in stops[-1]


@pytest.mark.parametrize("width", [1440, 800, 390])
def test_arrow_keys_reach_every_control_of_a_toolbar(tab: Page, inbox: InboxServer, width: int) -> None:
    tab.set_viewport_size({"width": width, "height": 800})
    for open_, bars in ((LEA, (".thread-head", ".rail-foot")), (None, (".list-title", ".segment"))):
        if open_:
            inbox.open(tab, open_)
        else:
            tab.goto(f"{inbox.url}/inbox")
        for bar in bars:
            controls = tab.evaluate("bar => controls(document.querySelector(bar)).map(each => each.outerHTML)", bar)
            assert tab.locator(f"{bar} [tabindex='0']").count() == 1, bar
            tab.locator(f"{bar} [tabindex='0']").focus()
            tab.keyboard.press("Home")
            reached = []
            for _ in controls:
                reached.append(tab.evaluate("() => document.activeElement.innerHTML"))
                tab.keyboard.press("ArrowRight")
            assert len(set(reached)) == len(controls) > 0, bar
            assert tab.evaluate("() => document.activeElement.innerHTML") == reached[0]  # around the end
            tab.keyboard.press("ArrowLeft")
            assert tab.evaluate("() => document.activeElement.innerHTML") == reached[-1]


def test_a_poll_leaves_a_toolbar_one_tab_stop(tab: Page, inbox: InboxServer) -> None:
    inbox.open(tab, LEA)
    inbox.write(LEA, "One more")
    poll(tab, "thread")
    assert tab.locator(".thread-head [tabindex='0']").count() == 1
    assert tab.locator(".thread-head [tabindex='-1']").count() >= 4


def test_single_keys_can_be_switched_off_and_stay_off(tab: Page, inbox: InboxServer) -> None:
    """The switch of the help dialog is remembered."""
    inbox.open(tab, RUI)
    tab.keyboard.press("?")
    switch = tab.get_by_role("checkbox", name="Use single-key shortcuts")
    switch.uncheck()
    tab.keyboard.press("Escape")
    tab.reload()
    url = tab.url
    tab.keyboard.press("k")
    tab.wait_for_function(SETTLED)
    assert tab.url == url
    tab.keyboard.press("?")  # it always works
    expect(tab.locator(".shortcuts-off")).to_contain_text("Single-key shortcuts are off")
    switch.check()
    expect(tab.locator(".shortcuts-off")).to_be_hidden()
    tab.keyboard.press("Escape")
    tab.keyboard.press("k")
    tab.wait_for_url(lambda now: now != url)


def test_words_are_searched_as_they_are_typed(tab: Page, inbox: InboxServer) -> None:
    """The list follows the field, the URL follows both; the open conversation stays open."""
    inbox.write(CAMILLE, "The zebrafinch lamp")
    inbox.open(tab, RUI)
    field = tab.get_by_role("searchbox", name="Search contacts and messages")
    field.press_sequentially("zebraf")
    tab.clock.run_for(300)
    expect(tab.locator(".row")).to_have_count(1)
    expect(tab.locator(".row")).to_contain_text("Camille Roux")
    assert re.search(rf"/inbox/{inbox.conversation(RUI)}\?.*q=zebraf", tab.url)
    expect(field).to_be_focused()
    expect(tab.locator("#thread-name")).to_contain_text("rui.costa")
    field.fill("zzz")
    tab.clock.run_for(300)
    expect(tab.locator(".empty")).to_contain_text("No match for “zzz”")
    expect(tab.locator(".empty")).to_contain_text("Search looks at usernames, names, IDs and message text.")


@pytest.mark.parametrize(
    ("width", "shown"),
    [(1440, {"rail", "list", "thread", "details"}), (1100, {"rail", "list", "thread"}), (800, {"list", "thread"})],
)
def test_each_width_shows_what_it_has_room_for(tab: Page, inbox: InboxServer, width: int, shown: set[str]) -> None:
    """Three widths; on narrow screens the name in the header opens the details."""
    tab.set_viewport_size({"width": width, "height": 800})
    inbox.open(tab, LEA)
    parts = {"list": ".inbox-list", "thread": ".thread", "details": ".details"}
    for name, selector in parts.items():
        assert tab.locator(selector).is_visible() == (name in shown), name
    rail = tab.locator(".rail").bounding_box()
    assert rail is not None
    assert (rail["height"] > 700) == ("rail" in shown)
    if "details" not in shown:
        tab.get_by_role("button", name="About @lea.moreau").click()
        expect(tab.locator(".details")).to_be_visible()
        expect(tab.locator(".details")).to_contain_text("Shown as")
        tab.keyboard.press("Escape")
        expect(tab.locator(".details")).to_be_hidden()


def test_on_a_phone_the_list_and_a_thread_take_turns(tab: Page, inbox: InboxServer) -> None:
    """One pane, a way back, and no sideways scrolling, with text at 200% too."""
    tab.set_viewport_size({"width": 390, "height": 844})
    tab.goto(f"{inbox.url}/inbox")
    row = tab.locator(f"#c{inbox.conversation(LEA)} .row-link")
    box = row.bounding_box()
    assert box is not None
    assert box["height"] == 66
    row.click()
    expect(tab.locator(".thread")).to_be_visible()
    expect(tab.locator(".inbox-list")).to_be_hidden()
    tab.get_by_role("link", name="Back to the list").click()
    expect(tab.locator(".inbox-list")).to_be_visible()
    inbox.open(tab, UNKNOWN_PERSON)
    tab.evaluate("document.documentElement.style.setProperty('font-size', '200%')")
    assert tab.evaluate("document.documentElement.scrollWidth") == 390
    expect(tab.locator(".thread-name")).to_be_visible()


def test_the_selected_row_shows_without_colours(tab: Page, inbox: InboxServer) -> None:
    """Forced colors keep the selection and edges visible; reduced motion stops animations."""
    tab.emulate_media(forced_colors="active")
    inbox.open(tab, LEA)
    style = "link => [getComputedStyle(link).outlineStyle, getComputedStyle(link).outlineWidth]"
    assert tab.locator(".row-link[aria-current]").evaluate(style) == ["solid", "2px"]
    for part in (".bubble", ".segment", ".avatar"):
        edge = tab.locator(part).first.evaluate("part => getComputedStyle(part).borderTopStyle")
        assert edge == "solid", part
    moving = "() => document.getAnimations().filter((each) => each.playState === 'running').length"
    assert tab.evaluate(moving) == 0


def test_why_somebody_is_unknown_is_one_click_away(tab: Page, inbox: InboxServer) -> None:
    """The chip in the header leads to the reason."""
    inbox.open(tab, UNKNOWN_PERSON)
    tab.locator(".thread-head").get_by_role("link", name="Why unknown?").click()
    tab.wait_for_url("**/identities/*")


def test_the_inbox_works_without_scripts(chromium: Browser, inbox: InboxServer) -> None:
    """List, thread, filter, search, older rows and messages, read and unread."""
    inbox.write(RUI, *(f"Older {number}" for number in range(60)))
    context = inbox.context(chromium, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{inbox.url}/inbox")
    expect(page.locator("noscript p")).to_be_visible()
    page.get_by_role("link", name="Older conversations").click()
    expect(page.locator(".row")).not_to_have_count(40)
    page.goto(f"{inbox.url}/inbox")
    page.locator("#q").fill("lea")
    page.locator("#q").press("Enter")
    expect(page.locator(".row")).to_have_count(1)
    page.get_by_role("link", name=re.compile("^Unknown")).click()
    expect(page.locator(f"#c{inbox.conversation(RUI)}")).to_have_count(0)
    page.goto(f"{inbox.url}/inbox")
    page.get_by_role("link", name=re.compile("rui.costa")).click()
    page.wait_for_url(f"**{address(inbox, RUI)}")
    expect(page.locator(".bubble", has_text="Older 59")).to_be_visible()
    page.get_by_role("button", name="Mark as read").click()
    page.get_by_role("button", name="Mark as unread").click()
    inbox.open(page, RUI)
    page.get_by_role("link", name="Older messages").click()
    expect(page.get_by_text("Older 3", exact=True)).to_be_visible()
    context.close()


def test_focus_is_never_lost_to_the_page(tab: Page, inbox: InboxServer) -> None:
    """After a part was swapped, focus is where it was."""
    inbox.open(tab, LEA)
    tab.locator(".details-link").first.focus()
    inbox.write(LEA, "Again")
    poll(tab, "thread")
    tab.wait_for_function(SETTLED)
    expect(tab.locator(".details-link").first).to_be_focused()
