"""Charts of Insights: their labels and lines stay in place, with data and without."""

from playwright.sync_api import Page

from tests.browser.inbox_server import InboxServer

# Per chart: how far its box is from its cell: below the head, beside the labels of both axes.
DISPLACED = """() => [...document.querySelectorAll('.chart-plot')].map(plot => {
  const [box, y, x] = ['.chart-box', '.chart-y', '.chart-x'].map(css => plot.querySelector(css))
    .map(part => part.getBoundingClientRect());
  return [box.top - y.top, box.bottom - y.bottom, box.left - x.left, box.right - x.right].map(Math.round);
})"""


def test_a_chart_without_data_keeps_its_labels_and_lines_in_place(inbox: InboxServer, tab: Page) -> None:
    tab.goto(f"{inbox.url}/insights")
    assert tab.locator(".chart-plot").count() == 4
    assert tab.locator(".chart-plot .chart-none").count() == 3  # contacts are counted for each page
    assert tab.evaluate(DISPLACED) == [[0, 0, 0, 0]] * 4
