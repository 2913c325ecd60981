"""Keyboard shortcuts: one table for the list of shortcuts and the keys, and the way through a list with J and E."""

import re
from datetime import timedelta

import pytest
from playwright.sync_api import Page, Route, expect

from app.web.shortcuts import SHORTCUTS
from tests.browser.inbox_server import OTHERS, SETTLED, InboxServer, poll
from tests.factories import CAMILLE, LEA, RUI, UNKNOWN_PERSON
from tests.support.waiting import until

ACTIONS = "() => Object.keys(actions)"
FOCUSED_ROW = "() => document.activeElement.closest('.row')?.id"


def test_every_listed_shortcut_has_an_action_and_every_action_is_listed(tab: Page, inbox: InboxServer) -> None:
    inbox.open(tab, LEA)
    rows = [row for group in SHORTCUTS.values() for row in group]
    assert {row.does for row in rows} == set(tab.evaluate(ACTIONS))
    tab.keyboard.press("?")
    for row in rows:
        shown = tab.locator("#shortcuts .shortcut", has_text=row.label).first
        assert (shown.get_attribute("data-keys") or "").split() == list(row.keys)
        expect(shown).to_be_visible()
    controls = [row.keys[0] for row in rows if row.does == "press"]
    for key in controls:
        title = tab.locator(f'[data-key="{key}"]').get_attribute("title")
        assert title is not None
        assert title.endswith(f"({key.upper()})")


@pytest.mark.parametrize(
    ("key", "page"),
    [("j", "jobs"), ("d", "identities"), ("a", "accounts"), ("m", "insights"), ("s", "settings"), ("i", "inbox")],
)
def test_g_and_a_letter_open_a_page(tab: Page, inbox: InboxServer, key: str, page: str) -> None:
    tab.goto(f"{inbox.url}/users")
    tab.keyboard.press("g")
    tab.keyboard.press(key)
    tab.wait_for_url(f"**/{page}*")


@pytest.mark.parametrize(("key", "path"), [("r", "/refresh"), ("w", "/no-reply-needed")])
def test_a_key_pressed_while_a_conversation_appears_stays_on_the_page(
    tab: Page, inbox: InboxServer, key: str, path: str
) -> None:
    """The buttons of a new part are bound before any event can reach them: no form submits natively."""
    inbox.write(CAMILLE, "Is it still there?")
    tab.goto(f"{inbox.url}/inbox")
    tab.evaluate(
        """key => document.addEventListener('htmx:afterSwap', () => setTimeout(() => document.activeElement
          .dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true})), 0), {once: true})""",
        key,
    )
    with tab.expect_request(lambda request: path in request.url) as posted:
        tab.locator(f"#c{inbox.conversation(CAMILLE)} .row-link").click()
    assert posted.value.headers.get("hx-request") == "true"
    tab.wait_for_function(SETTLED)
    expect(tab.locator(".thread")).to_be_visible()


def test_e_opens_the_next_until_all_are_read(tab: Page, inbox: InboxServer) -> None:
    inbox.mark_all(0)
    inbox.mark_all(1, LEA, RUI, CAMILLE)
    tab.goto(f"{inbox.url}/inbox?filter=unread")
    order = tab.locator(".row").evaluate_all("rows => rows.map((row) => row.id)")
    for place in range(3):
        tab.keyboard.press("e")
        expect(tab.locator(f"#{order[place]} .row-link")).to_have_attribute("aria-current", "true")
        tab.wait_for_function(SETTLED)
    expect(tab.locator("#messages-scroll")).to_be_focused()
    tab.keyboard.press("e")
    expect(tab.locator(".toast p")).to_have_text("All caught up.")
    expect(tab.locator(f"#{order[2]} .row-link")).to_have_attribute("aria-current", "true")
    until(lambda: sum(inbox.unread(who) for who in (LEA, RUI, CAMILLE)) == 0, "all are read")


def test_e_reads_a_conversation_that_was_marked_as_unread(tab: Page, inbox: InboxServer) -> None:
    inbox.open(tab, RUI)
    until(lambda: inbox.unread(RUI) == 0, "opening reads")
    tab.keyboard.press("Shift+U")
    expect(tab.get_by_role("button", name="Mark as read", exact=True)).to_be_visible()
    assert inbox.unread(RUI) == 1
    tab.wait_for_function(SETTLED)
    tab.keyboard.press("e")
    expect(tab.locator(f"#thread-{inbox.conversation(RUI)}")).to_have_count(0)
    until(lambda: inbox.unread(RUI) == 0, "E reads")


def test_shift_u_marks_the_focused_row_as_unread(tab: Page, inbox: InboxServer) -> None:
    inbox.mark_all(0)
    tab.goto(f"{inbox.url}/inbox")
    tab.keyboard.press("j")
    row = tab.evaluate(FOCUSED_ROW)
    tab.keyboard.press("Shift+U")
    expect(tab.locator(f"#{row} .row-badge")).to_be_visible()
    assert tab.evaluate(FOCUSED_ROW) == row


def test_escape_clears_the_search_and_then_closes_the_conversation(tab: Page, inbox: InboxServer) -> None:
    tab.goto(f"{inbox.url}/inbox?q=rui.costa")
    opened = f"c{inbox.conversation(RUI)}"
    tab.keyboard.press("j")
    tab.keyboard.press("Enter")
    expect(tab.locator("#messages-scroll")).to_be_focused()
    tab.keyboard.press("Escape")
    expect(tab.locator("#q")).to_have_value("")
    expect(tab.locator(".row")).not_to_have_count(1)
    tab.wait_for_url(re.compile(rf"/inbox/{opened[1:]}\?account=\d+$"))
    tab.wait_for_function(SETTLED)
    expect(tab.locator(".thread")).to_be_visible()
    tab.keyboard.press("Escape")
    expect(tab.locator(".thread-none")).to_be_visible()
    tab.wait_for_url(re.compile(r"/inbox\?account=\d+$"))
    tab.wait_for_function(f"{FOCUSED_ROW[6:]} === '{opened}'")
    tab.go_back()
    expect(tab.locator(f"#thread-{opened[1:]}")).to_be_visible()


def test_o_opens_the_contact_in_instagram_and_c_copies_the_username(tab: Page, inbox: InboxServer) -> None:
    tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    tab.context.route(re.compile("ig.me|instagram.com"), lambda route: route.fulfill(body="Instagram"))
    inbox.open(tab, LEA)
    with tab.expect_popup() as opened:
        tab.keyboard.press("o")
    assert opened.value.url == "https://ig.me/m/lea.moreau"
    opened.value.close()
    tab.keyboard.press("c")
    expect(tab.locator(".toast p")).to_have_text("Username copied")
    assert tab.evaluate("navigator.clipboard.readText()") == "lea.moreau"
    inbox.open(tab, UNKNOWN_PERSON)
    tab.keyboard.press("c")  # no username, nothing to copy
    with tab.expect_popup() as opened:
        tab.keyboard.press("o")
    assert opened.value.url == "https://www.instagram.com/direct/inbox/"
    expect(tab.locator(".toast")).to_have_count(0)


@pytest.mark.timeout(180)
def test_fifty_unread_conversations_are_read_with_j_and_e_alone(tab: Page, inbox: InboxServer) -> None:
    """More than one page of rows, messages that arrive meanwhile, no wait for requests: the next is the row below."""
    inbox.mark_all(0)
    inbox.mark_all(1, *OTHERS[:50])
    tab.goto(f"{inbox.url}/inbox?filter=unread")
    expect(tab.locator(".row")).to_have_count(40)
    tab.keyboard.press("j")
    read = []
    for place in range(50):
        before = tab.locator(".thread").get_attribute("id") if place else ""
        tab.keyboard.press("e" if place % 2 == 0 else "j")
        tab.wait_for_function(
            "before => { const now = document.querySelector('.thread')?.id; return now && now !== before; }", arg=before
        )
        read.append(int((tab.locator(".thread").get_attribute("id") or "").removeprefix("thread-")))
        if place == 20:
            inbox.write(OTHERS[5], "One more question", ago=timedelta(seconds=1))
            poll(tab, "list")
        expect(tab.locator(".row-link[aria-current]")).to_have_count(1)
        assert tab.url.split("/")[-1].startswith(f"{read[-1]}?")
    assert read == [inbox.conversation(who) for who in OTHERS[:50]]
    tab.keyboard.press("e")
    expect(tab.locator(".toast p")).to_have_text("All caught up.")
    until(lambda: [who for who in OTHERS[:50] if inbox.unread(who)] == [OTHERS[5]], "only the new message is unread")


def test_the_palette_finds_contacts_actions_accounts_and_jobs(tab: Page, inbox: InboxServer) -> None:
    with tab.expect_request(re.compile("palette.js")) as loaded:
        tab.goto(f"{inbox.url}/users")
        tab.keyboard.press("Control+k")
    assert "/static/scripts/palette.js?v=" in loaded.value.url
    field = tab.get_by_role("combobox", name="Find actions, accounts, contacts and jobs")
    expect(field).to_be_focused()
    options = tab.locator("#palette").get_by_role("option")
    expect(tab.locator("#palette").get_by_role("option", name="Go to Jobs")).to_be_visible()
    expect(tab.locator("#palette").get_by_role("option", name="Next conversation")).to_have_count(0)  # not on this page
    expect(options.first).to_have_attribute("aria-selected", "true")
    tab.keyboard.press("ArrowDown")
    expect(options.nth(1)).to_have_attribute("aria-selected", "true")
    expect(field).to_have_attribute("aria-activedescendant", options.nth(1).get_attribute("id") or "")
    tab.keyboard.press("ArrowUp")
    tab.keyboard.press("ArrowUp")
    expect(options.last).to_have_attribute("aria-selected", "true")
    tab.keyboard.type("costa")
    tab.clock.run_for(200)
    expect(options).to_have_count(1)
    expect(options).to_contain_text("@rui.costa")
    tab.keyboard.press("Enter")
    tab.wait_for_url(re.compile(rf"/inbox/{inbox.conversation(RUI)}\?"))
    tab.keyboard.press("Control+k")
    tab.keyboard.type("zzz")
    tab.clock.run_for(200)
    expect(tab.locator(".palette-none")).to_contain_text("No match for “zzz”.")
    tab.keyboard.press("Escape")
    expect(tab.locator("#palette")).to_be_hidden()


def test_enter_counts_before_the_palette_has_its_script(tab: Page, inbox: InboxServer) -> None:
    held: list[Route] = []
    tab.route(re.compile("palette.js"), lambda route: held.append(route))
    tab.goto(f"{inbox.url}/users")
    tab.keyboard.press("Control+k")
    tab.keyboard.type("rui.costa")
    tab.clock.run_for(200)
    expect(tab.locator("#palette .palette-none")).to_have_attribute("data-q", "rui.costa")
    tab.keyboard.press("Enter")
    held[0].continue_()
    tab.wait_for_url(re.compile(rf"/inbox/{inbox.conversation(RUI)}\?"))


def test_an_action_of_the_palette_runs_on_the_page(tab: Page, inbox: InboxServer) -> None:
    inbox.open(tab, LEA)
    tab.get_by_role("button", name="Find", exact=True).click()
    tab.keyboard.type("next conv")
    tab.clock.run_for(200)
    expect(tab.locator("#palette").get_by_role("option")).to_have_count(1)
    tab.keyboard.press("Enter")
    expect(tab.locator("#palette")).to_be_hidden()
    expect(tab.locator(f"#thread-{inbox.conversation(LEA)}")).to_have_count(0)
    expect(tab.locator(".thread")).to_be_visible()
    for words, key in (("insights", "Enter"), ("maison.lune", "Enter")):
        tab.keyboard.press("Control+k")
        expect(tab.locator("#palette-q")).to_be_focused()
        tab.keyboard.type(words)
        tab.clock.run_for(200)
        expect(tab.locator("#palette").get_by_role("option")).to_have_count(1)
        tab.keyboard.press(key)
        tab.wait_for_url("**/insights*")
