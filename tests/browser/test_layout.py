"""The layout of pages: sizes, contrast of controls and charts, the focus ring."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, ConsoleMessage, FloatRect, Page

from app.models.run import RunState
from tests.browser.conftest import visit
from tests.browser.seeded_server import SeededServer

WIDE = {"width": 1440, "height": 900}
# The contrast of two colors as defined by WCAG; a canvas turns every notation of CSS into sRGB.
RATIO = """([one, other]) => {
  const pen = Object.assign(document.createElement('canvas'), {width: 1, height: 1}).getContext('2d');
  const light = color => { pen.fillStyle = color; pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3).map(v => v / 255)
      .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
      .reduce((sum, v, place) => sum + v * [.2126, .7152, .0722][place], 0); };
  const [a, b] = [light(one), light(other)].sort((x, y) => y - x);
  return (a + .05) / (b + .05); }"""
COLOR = """name => { const box = document.body.appendChild(document.createElement('i'));
  box.style.color = `var(${name})`; const found = getComputedStyle(box).color; box.remove(); return found; }"""
HUE = """hue => { const svg = document.body.appendChild(document.createElementNS('http://www.w3.org/2000/svg', 'svg'));
  svg.setAttribute('class', `avatar hue-${hue}`); svg.innerHTML = '<rect/><text/>';
  const found = [...svg.children].map(each => getComputedStyle(each).fill); svg.remove(); return found; }"""
FOCUS = """() => { const at = document.activeElement, style = getComputedStyle(at);
  const clear = each => /, 0\\)$|\\/ 0\\)$/.test(getComputedStyle(each).backgroundColor);
  let back = at.parentElement; while (clear(back) && back.parentElement) back = back.parentElement;
  return [at.outerHTML.slice(0, 120), parseFloat(style.outlineWidth), style.outlineStyle, style.outlineColor,
    getComputedStyle(back).backgroundColor]; }"""


@pytest.fixture(scope="module")
def page(chromium: Browser, seeded: SeededServer) -> Iterator[Page]:
    seeded.job(RunState.RUNNING)
    page = visit(chromium, seeded, viewport=WIDE)
    yield page
    page.context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_edges_and_chart_fills_contrast_with_their_background(page: Page, seeded: SeededServer, theme: str) -> None:
    """Controls and chart fills have a contrast of at least 3 : 1."""
    page.goto(f"{seeded.url}/insights")
    page.evaluate("theme => document.documentElement.dataset.theme = theme", theme)
    pairs = [(name, ground) for name in ("--ctl", "--acc") for ground in ("--raised", "--pane")]
    pairs += [(name, "--raised") for name in ("--d1", "--d2", "--warn-f", "--bad-f")]
    for name, ground in pairs:
        ratio = page.evaluate(RATIO, [page.evaluate(COLOR, name), page.evaluate(COLOR, ground)])
        assert ratio >= 3, f"{name} on {ground} in {theme}: {ratio:.2f}"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_initials_are_readable_in_every_hue(page: Page, seeded: SeededServer, theme: str) -> None:
    """The contrast of initials with their circle is at least 4.5 : 1, also where sRGB lacks the color."""
    page.goto(f"{seeded.url}/inbox")
    page.evaluate("theme => document.documentElement.dataset.theme = theme", theme)
    for hue in range(12):
        found = page.evaluate(HUE, hue)
        ratio = page.evaluate(RATIO, found)
        assert ratio >= 4.5, f"hue {hue} in {theme}: {ratio:.2f}"
        assert len(set(found)) == 2


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/inbox/1", "/jobs", "/identities", "/identities/2", "/insights", "/accounts"])
def test_the_focus_is_visible_at_every_tab_stop(page: Page, seeded: SeededServer, theme: str, path: str) -> None:
    """The focus ring is 2 px wide and has a contrast of at least 3 : 1."""
    page.goto(seeded.url + path)
    page.evaluate("theme => document.documentElement.dataset.theme = theme", theme)
    for _ in range(30):
        page.keyboard.press("Tab")
        what, width, style, color, ground = page.evaluate(FOCUS)
        if what.startswith("<body"):
            return
        assert (width, style) == (2, "solid"), what
        assert page.evaluate(RATIO, [color, ground]) >= 3, what


PAGES = (
    *("/inbox", "/inbox/1", "/inbox?filter=unknown", "/jobs", "/jobs/new", "/identities", "/identities/2", "/insights"),
    *("/accounts", "/dead-letters", "/health", "/audit", "/users", "/settings", "/api/docs", "/admin/queues/"),
)


def test_no_page_logs_an_error_in_the_console(page: Page, seeded: SeededServer) -> None:
    logged: list[tuple[str, str]] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            logged.append((page.url, message.text))

    page.on("console", note)
    for path in PAGES:
        page.goto(seeded.url + path, wait_until="networkidle" if path == "/api/docs" else "load")
    page.remove_listener("console", note)
    assert logged == []


def test_the_inbox_list_shows_thirteen_rows(page: Page, seeded: SeededServer) -> None:
    """At 1440 x 900 the inbox shows at least 13 rows beside columns of fixed widths."""
    page.goto(f"{seeded.url}/inbox/1")
    rows = page.locator(".row-link")
    boxes = [box for box in (rows.nth(place).bounding_box() for place in range(rows.count())) if box]
    assert sum(box["y"] + box["height"] <= 900 for box in boxes) >= 13
    assert {round(box["height"]) for box in boxes[:5]} == {58}
    assert near(_box(page, ".inbox-list")["width"], 364, 2)
    assert near(_box(page, ".details")["width"], 264, 2)
    assert near(_box(page, ".main")["x"], 208, 2)


def test_the_parts_of_the_jobs_page_have_their_places_and_sizes(page: Page, seeded: SeededServer) -> None:
    """The tolerances allow for texts of other lengths."""
    page.goto(f"{seeded.url}/jobs")
    panel, bar = _box(page, ".job"), _box(page, ".job-bar")
    assert near(panel["x"], 260, 3)
    assert near(panel["width"], 1128, 4)
    assert near(panel["y"], 164, 5)  # below the plans of all three buttons
    assert near(panel["height"], 229, 6)
    assert near(bar["y"] - panel["y"], 113, 5)
    assert near(bar["height"], 8, 1)
    assert near(_box(page, "#job-unresolved tbody tr")["height"], 38, 1)
    assert near(_box(page, ".job-count strong")["height"], 34, 3)


def test_the_parts_of_an_identity_page_have_their_places_and_sizes(page: Page, seeded: SeededServer) -> None:
    page.goto(f"{seeded.url}/identities/2")
    main, side = _box(page, ".identity-main"), _box(page, ".identity-side")
    assert near(main["x"], 260, 3)
    assert near(main["width"], 796, 8)
    assert near(side["x"], 1072, 8)
    assert near(side["width"], 316, 8)
    assert near(_box(page, ".step")["height"], 55, 3)


def near(measure: float, expected: float, within: float) -> bool:
    """Return whether two measures differ by at most `within` pixels."""
    return abs(measure - expected) <= within


def _box(page: Page, selector: str) -> FloatRect:
    box = page.locator(selector).first.bounding_box()
    assert box is not None, selector
    return box
