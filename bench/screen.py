"""Measure how long a user waits in Chromium, and the polls of 50 users, on the list of `measures.pages`."""

import time
from collections.abc import Iterator
from itertools import cycle

from playwright.sync_api import Page
from sqlalchemy import text

from app.users import users
from app.viewer import OPERATOR, Role
from bench import load, measures, setup
from bench.load import Answered, Request
from bench.measures import ACCOUNT, Figure
from tests.support import chromium
from tests.support.installation import EMAIL, PASSWORD, Installation

CLICKS, MORPHS, ROWS = 100, 30, 100
USERS = 50
# A list every 30 seconds and a conversation every 15 of each user make 5 polls a second; twice that in one burst.
POLLS_PER_SECOND, POLL_SECONDS = 10.0, 20.0
# Measured until the change is painted: the second frame begins when the first is on screen.
CLICK = """row => new Promise(done => {
  const began = performance.now(), seen = ({target}) => {
    if (target.id !== 'thread-pane') return;
    document.removeEventListener('htmx:afterSettle', seen);
    requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - began)));
  };
  document.addEventListener('htmx:afterSettle', seen);
  row.click();
})"""
# From the key to the frame after its conversation is on screen; `press` waits for the next key.
KEY = """change => { window.painted = new Promise(done => {
  let began;
  addEventListener('keydown', ({timeStamp}) => { began = timeStamp; }, {capture: true, once: true});
  const shown = () => requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - began)));
  if (!change) { addEventListener('keydown', shown, {once: true}); return; }
  document.addEventListener('htmx:afterSettle', function seen({target}) {
    if (target.id !== 'thread-pane') return;
    document.removeEventListener('htmx:afterSettle', seen);
    shown();
  });
}); }"""
# From the arrived answer to rows that are laid out again.
MORPH = """() => new Promise(done => {
  const list = document.querySelector('#conv-list');
  let began;
  document.addEventListener('htmx:beforeSwap', () => { began = performance.now(); }, {once: true});
  document.addEventListener('htmx:afterSwap', () => {
    document.body.getBoundingClientRect();
    done(performance.now() - began);
  }, {once: true});
  htmx.trigger(list, 'poll:now');
})"""
CHANGE_ROWS = text(
    "UPDATE conversations SET unread_count = unread_count + 1, last_message_preview = :words WHERE account_id IN"
    " (SELECT id FROM accounts WHERE ig_account_id = :account)"
)


def speed(nametag: Installation, baseline: str) -> Iterator[Figure]:
    """Measure keys and clicks that open conversations, a poll that changes a hundred rows, and polls of 50 users."""
    with chromium.launched() as browser:
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(10_000)
        _sign_in(page, nametag.web.url)
        yield Figure("from a click to the painted conversation, p95", load.times_of(list(_clicks(page))).p95, 300, "ms")
        page.goto(f"{nametag.web.url}/inbox?account={ACCOUNT}")
        page.wait_for_selector(".row-link")
        page.evaluate(CLICK, page.query_selector(".row-link"))
        opened, frames = (load.times_of(list(_keys(page, key))).p95 for key in ("j", "Shift"))
        yield Figure("from a key to the painted conversation, p95", opened, 100, "ms")
        yield Figure("  baseline: from a key to the second frame after it, p95", frames, None, "ms")
        page.goto(f"{nametag.web.url}/inbox?account={ACCOUNT}")
        _load_rows(page)
        yield Figure(f"a morph of {ROWS} rows, p95", load.times_of(list(_morphs(page, nametag))).p95, 50, "ms")
    yield from _polls(nametag, baseline)


def _sign_in(page: Page, url: str) -> None:
    page.goto(f"{url}/inbox?account={ACCOUNT}")
    page.get_by_label("Email").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_selector(".row-link")


def _polls(nametag: Installation, baseline: str) -> Iterator[Figure]:
    """Compare unchanged polls of many users' lists with the hello page at the same rate."""
    polls = [_poll(nametag.web.url, number) for number in range(USERS)]
    hello = cycle([Request("GET", "/hello")])
    floor = load.at_rate(baseline, hello, per_second=POLLS_PER_SECOND, seconds=POLL_SECONDS)
    ours = load.at_rate(nametag.web.url, cycle(polls), per_second=POLLS_PER_SECOND, seconds=POLL_SECONDS)
    assert {answer.status for answer in ours} == {304}
    yield from measures.in_hello_pages(f"unchanged polls of {USERS} users", ours, floor, limit_ms=5)
    yield Figure("  baseline: hello at the same rate, p95", load.times_of(floor).p95, None, "ms")


def _poll(url: str, number: int) -> Request:
    email = f"agent.{number}@example.com"
    users.add_user(OPERATOR, email, role=Role.AGENT, password=PASSWORD)
    cookie = measures.sign_in(url, email)
    polling = (("Cookie", cookie), ("HX-Request", "true"), ("If-None-Match", measures.etag(url, cookie)))
    return Request("GET", f"/inbox/list?account={ACCOUNT}", headers=polling)


def _keys(page: Page, key: str) -> Iterator[Answered]:
    for _ in range(CLICKS):
        page.evaluate(KEY, key == "j")
        page.keyboard.press(key)
        yield _took(page.evaluate("painted"))


def _clicks(page: Page) -> Iterator[Answered]:
    for number in range(CLICKS):
        links = page.query_selector_all(".row-link")
        yield _took(page.evaluate(CLICK, links[number % len(links)]))


def _load_rows(page: Page) -> None:
    while page.locator(".row-link").count() < ROWS:
        loaded = page.locator(".row-link").count()
        page.evaluate("document.querySelector('#more').scrollIntoView()")
        page.wait_for_function("loaded => document.querySelectorAll('.row-link').length > loaded", arg=loaded)


def _morphs(page: Page, nametag: Installation) -> Iterator[Answered]:
    writer = setup.nameable(nametag.sandbox, ACCOUNT, 1)[0]
    for number in range(MORPHS):
        with nametag.database.begin() as connection:
            connection.execute(CHANGE_ROWS, {"words": f"Something else, {number}", "account": ACCOUNT})
        body = measures.delivery((writer, f"Hello {number}"))  # changes the list
        [answer] = load.in_turn(
            nametag.web.url,
            Request("POST", "/webhooks/instagram", body, measures.signed(body, nametag)),
            times=1,
        )
        assert answer.status == 200
        yield _took(page.evaluate(MORPH))
        assert page.locator(".row-link", has_text=f"Something else, {number}").count() >= ROWS - 1


def _took(milliseconds: float) -> Answered:
    return Answered(200, milliseconds / 1000, time.perf_counter())
