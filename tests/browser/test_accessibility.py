"""Each page and state is readable and accessible, in light and dark, wide and narrow."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import axe_playwright_python
import pytest
from playwright.sync_api import Browser, Page

from app import clock, doctor
from app.models.run import RunState
from tests.browser.conftest import visit
from tests.browser.seeded_server import ATELIER, NEWCOMER, RUN, SeededServer

AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
pytestmark = pytest.mark.timeout(600)  # the first test that needs the tour waits for all of it

PAGES = (
    *("/inbox", "/inbox/1", "/inbox/2", "/inbox?filter=unread", "/inbox?filter=unknown", "/inbox?q=zzz"),
    *("/inbox?filter=needs_reply", "/jobs", f"/jobs/{RUN}", f"/jobs/{RUN}?state=failed&reason=timeout"),
    *(f"/jobs/{RUN}?q=zzz", "/jobs/new?scope=filter&state=unknown", "/jobs/new?scope=chosen&identity=1"),
    *("/jobs?show=all", "/jobs/new?scope=recent", "/jobs/new?scope=recent&days=91"),
    *("/identities", "/identities?state=unknown&q=zzz", "/identities/1", "/identities/2", "/identities/7"),
    *(
        "/accounts",
        "/insights",
        "/insights?period=day",
        "/settings",
        "/dead-letters",
        "/alerts",
        "/alerts/receivers",
        "/health",
        "/schedules",
        "/users",
        "/users/1",
        "/audit",
        "/nowhere",
    ),
)
# Of an account without a contact. Visited last: the account is remembered.
EMPTY = (
    *("/inbox?account={0}", "/inbox?account={0}&filter=unread", "/inbox?account={0}&filter=unknown"),
    *("/inbox?account={0}&filter=needs_reply", "/jobs?account={0}", "/identities?account={0}", "/insights?account={0}"),
)
ALONE = ("/inbox", "/jobs", "/identities", "/accounts", "/insights")  # without an account
JOBS: tuple[tuple[RunState | None, dict[str, object]], ...] = (
    (RunState.QUEUED, {"minutes": 0}),
    (RunState.QUEUED, {"minutes": 2}),
    (RunState.WAITING, {"reason": "the API call budget is used up", "paused": 20}),
    (RunState.PAUSED, {"paused_by": "nadia.kessler@example.com", "paused_at": clock.now()}),
    (RunState.CANCELING, {}),
    (RunState.CANCELED, {"minutes": 2, "took": 60}),
    (RunState.DONE, {"minutes": 2, "took": 60}),
    (RunState.DONE, {"minutes": 2, "took": 60, "failed": 0}),
    (RunState.FAILED, {"minutes": 2, "took": 60, "reason": "The account was disconnected"}),
    (None, {}),
)
AXE_RUN = """([within, rules]) => axe.run(within ? document.querySelector(within) : document,
    {runOnly: rules, resultTypes: ['violations'], preload: false, selectors: false}).then(found => found.violations
  .map(each => `${each.id}: ${each.nodes.slice(0, 3).map(node => node.html.slice(0, 160)).join(' | ')}`))"""
# Whether anything is visible that was not yet, or looks different: only then axe can find something else. Sizes and
# positions are checked by the other measures, at every width.
NEW = """within => {
  const seen = window.seen ||= new WeakMap();
  return [...document.querySelectorAll(`${within}, ${within} *`)].filter(each => {
    if (!each.checkVisibility({visibilityProperty: true})) return false;
    const {color, backgroundColor, fontSize, fontWeight, opacity, display} = getComputedStyle(each);
    const look = [color, backgroundColor, fontSize, fontWeight, opacity, display].join();
    const looks = seen.get(each) || seen.set(each, new Set()).get(each), known = looks.has(look);
    looks.add(look);
    return !known;
  }).length > 0;
}"""
EVERY_RULE = {"type": "tag", "values": TAGS}
COLOR = {"type": "rule", "values": ["color-contrast"]}
WIDTHS = (1440, 1100, 800, 390, 320)
# Of the rules only that of colors depends on the theme.
THEMES = {"light": EVERY_RULE, "dark": COLOR}
SET_THEME = "theme => { document.documentElement.dataset.theme = theme; }"
SIDEWAYS = """() => ['html', '.main', '.scroll', 'dialog[open]', '.menu-choices']
  .flatMap(each => [...document.querySelectorAll(each)])
  .filter(each => each.checkVisibility() && each.scrollWidth > each.clientWidth)
  .map(each => `${each.tagName}.${each.className} ${each.scrollWidth} > ${each.clientWidth}`)"""
SMALL = """least => [...document.querySelectorAll('a[href], button, summary, input, select, textarea')]
  .filter(each => each.checkVisibility({visibilityProperty: true}) && each.type !== 'hidden')
  .filter(each => !each.closest('.hidden, .skip, [hidden], p:not([class])'))
  .map(each => [each, (each.closest('label') || each).getBoundingClientRect()])
  .filter(([each, box]) => box.width && (box.width < least - .5 || box.height < least - .5))
  .map(([each, box]) => `${Math.round(box.width)} x ${Math.round(box.height)}: ${each.outerHTML.slice(0, 140)}`)"""

OVERLAPPING = """() => {
  const boxes = [...document.querySelectorAll('.card')].map(each => [each, each.getBoundingClientRect()]);
  return boxes.flatMap(([one, a], at) => boxes.slice(at + 1)
    .filter(([other, b]) => !one.contains(other) && a.right > b.left + 1 && b.right > a.left + 1
      && a.bottom > b.top + 1 && b.bottom > a.top + 1)
    .map(([other]) => `${one.innerText.slice(0, 30)} / ${other.innerText.slice(0, 30)}`)); }"""


@pytest.fixture(scope="module")
def findings(chromium: Browser, seeded: SeededServer) -> dict[str, list[str]]:
    """Faults of all pages by kind of check; each page is opened once."""
    found: dict[str, list[str]] = defaultdict(list)
    framed: set[int] = set()  # the frame is the same on all pages
    for where, page in _tour(chromium, seeded):
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            within = "#main" if width in framed and page.locator("#main").count() else "body"
            if page.locator(".rail").count():
                framed.add(width)
            for theme, rules in THEMES.items():
                page.evaluate(SET_THEME, theme)
                if not page.evaluate(NEW, within):
                    continue
                whole = within == "body" or (width, theme) == (WIDTHS[0], "light")  # with the rules about whole pages
                violations = page.evaluate(AXE_RUN, ["" if whole else within, rules])
                found["axe"] += [f"{where} {theme} {width}: {each}" for each in violations]
            page.evaluate(SET_THEME, "light")
            least = 24 if width > 759 else 36
            found["small"] += [f"{where} {width}: {each}" for each in page.evaluate(SMALL, least)]
            found["wide"] += [f"{where} {width}: {each}" for each in page.evaluate(SIDEWAYS)]
            found["overlapping"] += [f"{where} {width}: {each}" for each in page.evaluate(OVERLAPPING)]
    return found


def test_axe_finds_nothing_on_any_page_or_state(findings: dict[str, list[str]]) -> None:
    """Each page is loaded once and checked in both themes at each width that changes it; in dark only its colors."""
    assert findings["axe"] == []


def test_everything_that_can_be_pressed_is_large_enough(findings: dict[str, list[str]]) -> None:
    """At least 24 px, and 36 on a phone."""
    assert findings["small"] == []


def test_no_page_scrolls_sideways_at_any_width(findings: dict[str, list[str]]) -> None:
    """Nor does a part of one, except tables in their own box. The smallest supported phone is 320 px wide."""
    assert findings["wide"] == []


def test_long_names_and_large_counts_fit_the_smallest_phone(chromium: Browser, seeded: SeededServer) -> None:
    page = visit(chromium, seeded, viewport={"width": 320, "height": 700})
    page.goto(f"{seeded.url}/identities")
    long = "names => names.forEach(each => { each.textContent = 'Wolfeschlegelsteinhausen'.repeat(3) })"
    page.locator("#identities .name-text").evaluate_all(long)
    page.locator("#identities .segment-count").evaluate_all(
        "all => all.forEach(each => { each.textContent = '12345' })"
    )
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    assert page.evaluate("document.querySelector('#identities .table-box').scrollWidth") <= 320
    page.context.close()


def test_no_card_lies_over_another_between_wide_and_narrow(findings: dict[str, list[str]]) -> None:
    assert findings["overlapping"] == []


def _tour(chromium: Browser, seeded: SeededServer) -> Iterator[tuple[str, Page]]:
    seeded.job(RunState.RUNNING)
    signed_out = chromium.new_context(reduced_motion="reduce")
    signed_out.add_init_script(path=AXE)
    page = signed_out.new_page()
    page.goto(f"{seeded.url}/login")
    yield "/login", page
    signed_out.close()
    page = visit(chromium, seeded)
    page.context.add_init_script(path=AXE)
    for path in PAGES:
        page.goto(seeded.url + path)
        yield path, page
    for state, changes in JOBS:
        seeded.job(state, **changes)
        page.goto(f"{seeded.url}/jobs")
        yield f"/jobs {state} {changes}", page
    doctor.record()
    page.goto(f"{seeded.url}/health")
    yield "/health with findings", page
    for path in EMPTY:
        page.goto(seeded.url + path.format(ATELIER))
        yield path, page
    page.context.close()
    seeded.job(RunState.RUNNING)
    page = visit(chromium, seeded, NEWCOMER)
    page.context.add_init_script(path=AXE)
    for path in ALONE:
        page.goto(seeded.url + path)
        yield f"{path} without an account", page
    page.context.close()


# What opens on the page of a conversation: its name, how it is opened, and the part that is open then.
STATES: dict[str, tuple[str, str]] = {
    "accounts": ("click:.rail-account > summary", ".rail-account .menu-choices"),
    "accounts above the list": ("click:.list-account > summary", ".list-account .menu-choices"),
    "the user's menu": ("click:.rail-me > summary", ".rail-me .menu-choices"),
    "calls by source": ("click:.rail-budget > summary", ".rail-budget"),
    "a pinned search": ("click:", ".pins"),
    "the form of a pin": ("click:.list-pin > summary", ".list-pin .menu-choices"),
    "the side pane": ("click:.thread-about", ".details"),
    "the shortcuts": ("press:?", "#shortcuts"),
    "the palette": ("press:Control+k", "#palette"),
    "a confirmation": ("submit:form[action$='/forget']", "#confirm"),
    "a toast": ("submit:form[action$='/refresh']", "#toasts"),
}
OPEN = """([how, what]) => { const found = document.querySelector(what);
  if (how === 'submit') found.requestSubmit(); else if (found.checkVisibility()) found.click(); }"""
CLOSE = """() => { for (const each of document.querySelectorAll('dialog[open]')) each.close();
  for (const each of document.querySelectorAll('details[open]')) each.open = false;
  document.querySelector(':popover-open')?.hidePopover();
  document.activeElement.blur(); }"""  # else the next key may still go to the field of the closed dialog


def test_what_opens_on_a_page_is_accessible_at_every_width(chromium: Browser, seeded: SeededServer) -> None:
    page = visit(chromium, seeded)
    page.context.add_init_script(path=AXE)
    _pin(page, seeded)
    page.goto(f"{seeded.url}/inbox/2")
    found, seen = [], set()
    for state, (opened_by, part) in STATES.items():
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            _open(page, state, opened_by)
            if not page.locator(part).is_visible():
                continue  # not on this width
            seen.add(state)
            for theme, rules in THEMES.items():
                page.evaluate(SET_THEME, theme)
                if page.evaluate(NEW, part):
                    found += [f"{state} {width} {theme}: {each}" for each in page.evaluate(AXE_RUN, [part, rules])]
            found += [f"{state} {width}: {each}" for each in page.evaluate(SMALL, 36 if width < 760 else 24)]
            found += [f"{state} {width}: {each}" for each in page.evaluate(SIDEWAYS)]
            page.evaluate(CLOSE)
    page.goto(f"{seeded.url}/settings")
    page.get_by_role("button", name="Remove Unknown contacts").click()
    page.get_by_text("No pinned searches").wait_for()
    page.context.close()
    assert seen == STATES.keys()
    assert found == []


def _open(page: Page, state: str, opened_by: str) -> None:
    how, what = opened_by.split(":", 1)
    if how == "press":
        page.keyboard.press(what)
    elif what:
        page.evaluate(OPEN, [how, what])
    if state == "the palette":
        page.locator("#palette [aria-selected=true]").wait_for()
    if state == "a toast":
        page.locator(".toast").first.wait_for()


def _pin(page: Page, seeded: SeededServer) -> None:
    page.goto(f"{seeded.url}/inbox?filter=unknown")
    page.locator(".list-pin > summary").click()
    page.get_by_label("Name for this search and filter").fill("Unknown contacts")
    page.get_by_role("button", name="Pin search").click()
    page.locator(".pins-link[aria-current]", has_text="Unknown contacts").wait_for()


@pytest.mark.parametrize("path", ["/audit", "/identities", "/jobs", "/dead-letters", "/schedules", "/users"])
def test_a_wide_table_scrolls_in_its_box_and_not_the_page(chromium: Browser, seeded: SeededServer, path: str) -> None:
    page = visit(chromium, seeded)
    page.goto(seeded.url + path)
    page.locator("td bdi, td code").evaluate_all(
        "all => all.forEach(each => { each.textContent = 'wolfeschlegelsteinhausen@example.com' })"
    )
    page.locator(".segment-count").evaluate_all("all => all.forEach(each => { each.textContent = '12345' })")
    for width in (1440, 1100, 800, 390, 320):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("(box => box.scrollWidth - box.clientWidth)(document.querySelector('.page'))") <= 0, width
    page.context.close()
