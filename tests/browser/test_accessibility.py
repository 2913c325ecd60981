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
from tests.browser.seeded_server import NEWCOMER, RUN, SeededServer

AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
pytestmark = pytest.mark.timeout(240)  # the first test that needs the tour waits for all of it

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
        "/health",
        "/schedules",
        "/users",
        "/users/1",
        "/audit",
        "/nowhere",
    ),
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
AXE_RUN = """rules => axe.run(document, {runOnly: rules.only, rules: rules.but, resultTypes: ['violations'],
    preload: false}).then(found => found.violations.map(each =>
  `${each.id}: ${each.nodes.slice(0, 3).map(node => node.html.slice(0, 160)).join(' | ')}`))"""
STRUCTURE = {"only": {"type": "tag", "values": TAGS}, "but": {"color-contrast": {"enabled": False}}}
COLOUR = {"only": {"type": "rule", "values": ["color-contrast"]}, "but": {}}
# Colors do not depend on the width, nor the structure on the theme.
LOOKS = (("light", 1440, STRUCTURE), ("light", 1440, COLOUR), ("dark", 1440, COLOUR), ("dark", 390, STRUCTURE))
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
    for where, page in _tour(chromium, seeded):
        for theme, width, rules in LOOKS:
            page.set_viewport_size({"width": width, "height": 900})
            page.evaluate("theme => document.documentElement.dataset.theme = theme", theme)
            found["axe"] += [f"{where} {theme} {width}: {each}" for each in page.evaluate(AXE_RUN, rules)]
        for width, least in ((1440, 24), (390, 36)):
            page.set_viewport_size({"width": width, "height": 900})
            found["small"] += [f"{where} {width}: {each}" for each in page.evaluate(SMALL, least)]
        for width in (1100, 800):
            page.set_viewport_size({"width": width, "height": 900})
            found["overlapping"] += [f"{where} {width}: {each}" for each in page.evaluate(OVERLAPPING)]
        page.set_viewport_size({"width": 320, "height": 700})
        if (wide := page.evaluate("document.documentElement.scrollWidth")) != 320:
            found["wide"].append(f"{where}: {wide}")
    return found


def test_axe_finds_nothing_on_any_page_or_state(findings: dict[str, list[str]]) -> None:
    """Both themes and widths are checked; in dark only the rules that depend on color."""
    assert findings["axe"] == []


def test_everything_that_can_be_pressed_is_large_enough(findings: dict[str, list[str]]) -> None:
    """At least 24 px, and 36 on a phone."""
    assert findings["small"] == []


def test_nothing_sticks_out_on_the_smallest_phone(findings: dict[str, list[str]]) -> None:
    """The smallest supported phone is 320 px wide."""
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
    page.keyboard.press("?")
    yield "the shortcuts", page
    for state, changes in JOBS:
        seeded.job(state, **changes)
        page.goto(f"{seeded.url}/jobs")
        yield f"/jobs {state} {changes}", page
    doctor.record()
    page.goto(f"{seeded.url}/health")
    yield "/health with findings", page
    page.context.close()
    seeded.job(RunState.RUNNING)
    page = visit(chromium, seeded, NEWCOMER)
    page.context.add_init_script(path=AXE)
    for path in ALONE:
        page.goto(seeded.url + path)
        yield f"{path} without an account", page
    page.context.close()


def test_the_palette_and_open_menus_are_accessible_at_every_width(chromium: Browser, seeded: SeededServer) -> None:
    page = visit(chromium, seeded, viewport={"width": 1440, "height": 900})
    page.context.add_init_script(path=AXE)
    page.goto(f"{seeded.url}/inbox/1")
    found = []
    for width, theme, opened in (
        *((1440, "light", ".rail-account"), (1440, "dark", ".rail-me"), (1440, "dark", "palette")),
        *((1100, "light", "palette"), (800, "light", ".rail-me"), (390, "dark", "palette"), (320, "light", ".rail-me")),
    ):
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate("theme => document.documentElement.dataset.theme = theme", theme)
        if opened == "palette":
            page.keyboard.press("Control+k")
            page.locator("#palette [aria-selected=true]").wait_for()
        else:
            page.locator(f"{opened} > summary").click()
        for rules in (STRUCTURE, COLOUR):
            found += [f"{opened} {width} {theme}: {each}" for each in page.evaluate(AXE_RUN, rules)]
        found += [f"{opened} {width}: {each}" for each in page.evaluate(SMALL, 36 if width < 760 else 24)]
        assert page.evaluate("document.documentElement.scrollWidth") == width
        page.keyboard.press("Escape")
    page.context.close()
    assert found == []


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
