"""Pages keep the Content-Security-Policy, load nothing from other hosts, and are small."""

import gzip
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.inbox_server import InboxServer, poll
from tests.factories import LEA, UNKNOWN_PERSON

STATIC = Path(__file__).parents[2] / "static"
REPORT = """window.refused = [];
const note = (event) => refused.push(`${event.violatedDirective} ${event.blockedURI}`);
document.addEventListener('securitypolicyviolation', note);"""
PAGES = (
    *("/inbox", "/inbox?q=zzz", "/jobs", "/identities", "/identities/1", "/accounts", "/insights", "/settings"),
    *("/dead-letters", "/health", "/nowhere"),
)
EVERYWHERE = ("helpers", "times", "toasts", "clicks", "pictures", "polling", "shortcuts", "roving")  # as in base.html
INBOX = ("freshness", "thread", "list", "keys", "reading", "search", "place")  # as in inbox/page.html
WEIGHTS: dict[str, float] = {  # files, gzipped, in thousands of bytes at most
    "app.css": 10,
    "insights.css": 1.1,
    "identity.css": 1,
    " ".join(f"scripts/{name}.js" for name in EVERYWHERE): 6,
    " ".join(f"scripts/{name}.js" for name in INBOX): 7.4,
    "scripts/notices.js": 1.6,
    "scripts/selection.js": 1,
    "scripts/palette.js": 1.2,  # loads with the first opening
    "icons.svg": 5,
    "vendor/htmx/htmx.min.js vendor/idiomorph/idiomorph-ext.min.js": 21,
    "vendor/inter/inter-latin-wght-normal.woff2": 50,
}


def test_no_page_asks_for_what_the_policy_refuses_or_for_another_host(tab: Page, inbox: InboxServer) -> None:
    """No violation on any page, and no request to another host."""
    tab.add_init_script(REPORT)
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    refused = []
    inbox.open(tab, UNKNOWN_PERSON)
    tab.locator(f"#c{inbox.conversation(LEA)} .row-link").click()
    tab.wait_for_url(f"**/inbox/{inbox.conversation(LEA)}?*")
    inbox.write(LEA, "More")
    poll(tab, "thread")
    refused += tab.evaluate("refused")
    for path in PAGES:
        tab.goto(inbox.url + path)
        refused += [f"{path}: {each}" for each in tab.evaluate("refused")]
    assert refused == []
    assert [url for url in asked if not url.startswith((inbox.url + "/", "data:"))] == []


def test_the_sign_in_page_keeps_the_policy_too(chromium: Browser, inbox: InboxServer) -> None:
    page = chromium.new_page()
    page.add_init_script(REPORT)
    page.goto(f"{inbox.url}/login")
    assert page.evaluate("refused") == []
    page.close()


@pytest.mark.parametrize("names", WEIGHTS)
def test_pages_are_light(names: str) -> None:
    """Sizes are those of the gzipped files that each page loads."""
    files = [STATIC / name for name in names.split()]
    packed = (".css", ".js", ".svg")
    travelled = [gzip.compress(each.read_bytes(), 9) if each.suffix in packed else each.read_bytes() for each in files]
    assert sum(map(len, travelled)) <= WEIGHTS[names] * 1000


@pytest.mark.parametrize(
    ("path", "scripts", "styles"),
    [
        ("/inbox", (*EVERYWHERE, *INBOX), ("app",)),
        ("/jobs", EVERYWHERE, ("app",)),
        ("/identities", (*EVERYWHERE, "selection"), ("app",)),
        ("/identities/1", EVERYWHERE, ("app", "identity")),
        ("/insights", EVERYWHERE, ("app", "insights")),
    ],
)
def test_pages_load_only_the_scripts_and_styles_they_need(
    tab: Page, inbox: InboxServer, path: str, scripts: tuple[str, ...], styles: tuple[str, ...]
) -> None:
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(urlsplit(request.url).path))
    tab.goto(inbox.url + path)
    assert sorted(Path(each).stem for each in asked if "/scripts/" in each) == sorted(scripts)
    assert [Path(each).stem for each in asked if each.endswith(".css")] == list(styles)


def test_the_scripts_of_the_inbox_are_small_together() -> None:
    scripts = [STATIC / f"scripts/{name}.js" for name in (*EVERYWHERE, *INBOX)]
    assert len(gzip.compress(b"".join(each.read_bytes() for each in scripts), 9)) <= 9_800


@pytest.mark.parametrize("path", sorted((STATIC / "scripts").glob("*.js")), ids=lambda path: path.name)
def test_each_script_says_first_which_behavior_it_holds(path: Path) -> None:
    assert re.match(r"// [A-Z][^\n]+\.\n", path.read_text())
