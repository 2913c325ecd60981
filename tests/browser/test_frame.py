"""The frame and its measures: density, contrast of what is not text, the focus ring (ui.md 4, 5, 13)."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, FloatRect, Page

from app.models.run import RunState
from tests.browser.conftest import visit
from tests.browser.stage import Stage

WIDE = {"width": 1440, "height": 900}
# How far two colours are apart, as WCAG counts; a canvas turns every notation of CSS into sRGB.
RATIO = """([one, other]) => {
  const pen = Object.assign(document.createElement('canvas'), {width: 1, height: 1}).getContext('2d');
  const light = colour => { pen.fillStyle = colour; pen.fillRect(0, 0, 1, 1);
    return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3).map(v => v / 255)
      .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
      .reduce((sum, v, place) => sum + v * [.2126, .7152, .0722][place], 0); };
  const [a, b] = [light(one), light(other)].sort((x, y) => y - x);
  return (a + .05) / (b + .05); }"""
COLOUR = """name => { const box = document.body.appendChild(document.createElement('i'));
  box.style.color = `var(${name})`; const found = getComputedStyle(box).color; box.remove(); return found; }"""
FOCUS = """() => { const at = document.activeElement, style = getComputedStyle(at);
  const clear = each => /, 0\\)$|\\/ 0\\)$/.test(getComputedStyle(each).backgroundColor);
  let back = at.parentElement; while (clear(back) && back.parentElement) back = back.parentElement;
  return [at.outerHTML.slice(0, 120), parseFloat(style.outlineWidth), style.outlineStyle, style.outlineColor,
    getComputedStyle(back).backgroundColor]; }"""


@pytest.fixture(scope="module")
def page(chromium: Browser, stage: Stage) -> Iterator[Page]:
    stage.job(RunState.RUNNING)
    page = visit(chromium, stage, viewport=WIDE)
    yield page
    page.context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_edges_and_chart_fills_are_told_from_what_they_lie_on(page: Page, stage: Stage, theme: str) -> None:
    """Controls and chart fills have a contrast of at least 3 : 1."""
    page.goto(f"{stage.url}/insights")
    page.evaluate("theme => document.documentElement.dataset.theme = theme", theme)
    pairs = [(name, ground) for name in ("--ctl", "--acc") for ground in ("--raised", "--pane")]
    pairs += [(name, "--raised") for name in ("--d1", "--d2", "--warn-f", "--bad-f")]
    for name, ground in pairs:
        ratio = page.evaluate(RATIO, [page.evaluate(COLOUR, name), page.evaluate(COLOUR, ground)])
        assert ratio >= 3, f"{name} on {ground} in {theme}: {ratio:.2f}"


@pytest.mark.parametrize(("theme", "path"), [("light", "/jobs"), ("dark", "/identities/2")])
def test_the_focus_is_seen_at_every_stop(page: Page, stage: Stage, theme: str, path: str) -> None:
    """The focus ring is 2 px wide and has a contrast of at least 3 : 1."""
    page.goto(stage.url + path)
    page.evaluate("theme => document.documentElement.dataset.theme = theme", theme)
    for _ in range(30):
        page.keyboard.press("Tab")
        what, width, style, colour, ground = page.evaluate(FOCUS)
        if what.startswith("<body"):
            return
        assert (width, style) == (2, "solid"), what
        assert page.evaluate(RATIO, [colour, ground]) >= 3, what


def test_the_list_is_as_dense_as_its_picture(page: Page, stage: Stage) -> None:
    """At 1440 x 900 the inbox shows at least 13 rows beside columns of fixed widths."""
    page.goto(f"{stage.url}/inbox/1")
    rows = page.locator(".row-link")
    boxes = [box for box in (rows.nth(place).bounding_box() for place in range(rows.count())) if box]
    assert sum(box["y"] + box["height"] <= 900 for box in boxes) >= 13
    assert {round(box["height"]) for box in boxes[:5]} == {58}
    assert near(_box(page, ".inbox-list")["width"], 364, 2)
    assert near(_box(page, ".details")["width"], 264, 2)
    assert near(_box(page, ".main")["x"], 208, 2)


def test_jobs_stand_where_their_picture_has_them(page: Page, stage: Stage) -> None:
    """The tolerances allow for texts of other lengths."""
    page.goto(f"{stage.url}/jobs")
    panel, bar = _box(page, ".job"), _box(page, ".job-bar")
    assert near(panel["x"], 260, 3)
    assert near(panel["width"], 1128, 4)
    assert near(panel["y"], 86, 5)
    assert near(panel["height"], 229, 6)
    assert near(bar["y"] - panel["y"], 113, 5)
    assert near(bar["height"], 8, 1)
    assert near(_box(page, "#job-unresolved tbody tr")["height"], 38, 1)
    assert near(_box(page, ".job-count strong")["height"], 34, 3)


def test_an_identity_stands_where_its_picture_has_it(page: Page, stage: Stage) -> None:
    page.goto(f"{stage.url}/identities/2")
    main, side = _box(page, ".identity-main"), _box(page, ".identity-side")
    assert near(main["x"], 260, 3)
    assert near(main["width"], 796, 8)
    assert near(side["x"], 1072, 8)
    assert near(side["width"], 316, 8)
    assert near(_box(page, ".step")["height"], 55, 3)


def near(measure: float, pictured: float, within: float) -> bool:
    """Return whether a measure is the picture's, within so many pixels."""
    return abs(measure - pictured) <= within


def _box(page: Page, selector: str) -> FloatRect:
    box = page.locator(selector).first.bounding_box()
    assert box is not None, selector
    return box
