"""Watch, start and cancel jobs in a browser: by mouse, by keyboard, without JavaScript."""

import re

import pytest
from playwright.sync_api import Browser, Page, Request, expect
from sqlalchemy import func, select

from app.db.engine import db
from app.models.run import Run, RunKind, RunState
from tests.browser.conftest import visit
from tests.browser.inbox_server import SETTLED
from tests.browser.seeded_server import EMAIL, PASSWORD, RUN, SeededServer
from tests.support.waiting import until

HEARD = """() => { window.heard = []; new MutationObserver(() => {
  const words = document.getElementById('announcer').textContent; if (words) window.heard.push(words);
}).observe(document.getElementById('announcer'), {childList: true, characterData: true, subtree: true}); }"""


def started(seeded: SeededServer) -> int:
    """Return how many backfills of the first account are queued, without the seeded one."""
    db.session.rollback()
    of_account = (Run.account_id == 1, Run.kind == RunKind.BACKFILL, Run.state == RunState.QUEUED, Run.id != RUN)
    return db.session.execute(select(func.count()).where(*of_account)).scalar_one()


def test_the_panel_follows_a_job_to_its_end_and_says_so_once(chromium: Browser, seeded: SeededServer) -> None:
    """A change shows within 2 s, with one toast and one announcement, and fast polls stop at the end."""
    seeded.job(RunState.RUNNING)
    page = visit(chromium, seeded)
    polls: list[Request] = []
    page.on("request", lambda request: polls.append(request) if "/jobs/live" in request.url else None)
    page.goto(f"{seeded.url}/jobs")
    page.evaluate(HEARD)
    seeded.job(RunState.RUNNING, resolved=290)
    expect(page.locator(".job-count strong")).to_have_text("335", timeout=2_000)
    seeded.job(RunState.DONE, resolved=367, minutes=5, took=290)
    expect(page.locator(".toast p")).to_have_text("Backfill profiles finished: 367 resolved, 14 failed.", timeout=2_000)
    expect(page.locator(".job .chip")).to_have_text("Some failed")
    expect(page.locator("#job-live")).to_have_attribute("hx-trigger", re.compile("every 15s"))
    before = len(polls)
    page.wait_for_timeout(3_500)  # twice the fast pace and more: waiting for nothing has no other condition
    assert len(polls) == before
    assert page.locator(".toast").count() == 1
    assert page.evaluate("window.heard") == [
        "Backfill profiles: 75% done, 335 of 412.",
        "Backfill profiles finished: 367 resolved, 14 failed.",
    ]
    page.context.close()


def test_a_running_job_is_polled_at_most_forty_times_a_minute(chromium: Browser, seeded: SeededServer) -> None:
    seeded.job(RunState.RUNNING)
    page = visit(chromium, seeded)
    page.clock.install()
    page.goto(f"{seeded.url}/jobs")
    polls: list[str] = []
    page.on("request", lambda request: polls.append(request.url) if "/jobs/live" in request.url else None)
    for _ in range(40):
        page.clock.run_for(1_500)
        page.wait_for_function(SETTLED)
    assert 30 <= len(polls) <= 41
    page.context.close()


def test_a_double_click_starts_one_job_and_a_second_start_is_refused(chromium: Browser, seeded: SeededServer) -> None:
    """A double click starts one job; a second start is refused with 409 and a toast."""
    seeded.job(None)
    page = visit(chromium, seeded)
    page.goto(f"{seeded.url}/jobs")
    page.get_by_role("button", name="Backfill profiles").dblclick()
    expect(page.locator(".toast").first).to_contain_text("Backfill profiles queued.")
    page.get_by_role("button", name="Backfill profiles").click()
    expect(page.locator(".toast[data-kind=error]").first).to_contain_text("has not ended")
    assert started(seeded) == 1
    _end(page)


def test_everything_is_done_by_keyboard(chromium: Browser, seeded: SeededServer) -> None:
    """Find, open, read, refresh, go to jobs, start, cancel; the switch for single keys is kept."""
    seeded.job(None)
    page = visit(chromium, seeded, viewport={"width": 1440, "height": 900})
    keys = page.keyboard
    keys.press("/")
    keys.type("lea")
    expect(page.locator(".row-link")).to_have_count(1)
    keys.press("Escape")  # clears the search
    expect(page.locator(".row-link").nth(1)).to_be_visible()
    page.wait_for_function(SETTLED)
    keys.press("Escape")  # leaves the field
    keys.press("j")
    keys.press("Enter")
    expect(page.locator("[id^=msgs-]")).to_contain_text("Hello, is it still there?")
    page.wait_for_function(SETTLED)
    keys.press("r")
    expect(page.locator(".toast").first).to_be_visible()
    until(lambda: _went(page, "j", "/jobs"), "G and J lead to the jobs")
    expect(page.get_by_role("heading", name="Jobs", level=1)).to_be_visible()
    _tab_to(page, "Backfill profiles")
    keys.press("Enter")
    expect(page.locator(".job h2")).to_contain_text("Backfill profiles")
    page.wait_for_function(SETTLED)
    _tab_to(page, "Cancel job")
    keys.press("Enter")
    expect(page.locator("#confirm")).to_be_visible()
    _tab_to(page, "Cancel job")
    keys.press("Enter")
    expect(page.locator("#job-live .chip").first).to_have_text("Canceled")
    keys.press("?")
    expect(page.locator("#shortcuts")).to_be_visible()
    _tab_to(page, "Use single-key shortcuts")
    keys.press("Space")
    keys.press("Escape")
    page.reload()
    keys.press("g")
    keys.press("i")
    expect(page.get_by_role("heading", name="Jobs", level=1)).to_be_visible()
    keys.press("?")  # shows how to switch them on again
    expect(page.locator("#shortcuts")).to_contain_text("Single-key shortcuts are off")
    page.context.close()


def test_jobs_identities_sign_in_and_theme_need_no_script(chromium: Browser, seeded: SeededServer) -> None:
    seeded.job(None)
    page = visit(chromium, seeded, java_script_enabled=False)
    page.goto(f"{seeded.url}/jobs")
    expect(page.locator(".page-noscript")).to_be_visible()
    page.get_by_role("link", name="Job options").click()
    page.get_by_label("Unknown contacts active recently").check()
    page.get_by_label("Days to look back").fill("3")
    page.get_by_role("button", name="Show estimate").click()
    page.get_by_role("button", name=re.compile("Start for")).click()
    expect(page.locator(".job")).to_contain_text("active in the last 3 days")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#job-live .chip").first).to_have_text("Canceled")
    page.goto(f"{seeded.url}/identities?state=unknown")
    page.get_by_role("link", name=re.compile("user_883201")).click()
    page.get_by_role("button", name=re.compile("Retry now|Refresh now|Looking up")).click()
    expect(page.get_by_role("heading", name="user_883201")).to_be_visible()
    page.get_by_role("button", name=re.compile("Theme")).click()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.context.close()


def test_sign_in_leads_to_the_requested_page(chromium: Browser, seeded: SeededServer) -> None:
    """Sign-in works without JavaScript, errors included."""
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{seeded.url}/insights")
    page.get_by_label("Email").fill(EMAIL)
    page.get_by_label("Password").fill("not that one at all")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("Incorrect email or password")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Insights", level=1)).to_be_visible()
    context.close()


def _went(page: Page, letter: str, path: str) -> bool:
    """Press G and a letter, within 1.2 s unless the machine is busy; return whether the page is open."""
    page.keyboard.press("g")
    page.keyboard.press(letter)
    page.wait_for_timeout(200)
    return path in page.url


def _tab_to(page: Page, name: str) -> None:
    for _ in range(60):
        page.keyboard.press("Tab")
        words = page.evaluate("(document.activeElement.closest('label') || document.activeElement).textContent.trim()")
        if words == name:
            return
    pytest.fail(f"{name} was not reached by the Tab key")


def _end(page: Page) -> None:
    page.on("dialog", lambda dialog: dialog.accept())
    page.locator(".job").get_by_role("button", name="Cancel").click()
    page.locator("#confirm-yes").click()
    expect(page.locator("#job-live .chip").first).to_have_text("Canceled")
    page.context.close()


def test_a_cancel_dialog_names_its_job_and_closes_when_that_job_ends(chromium: Browser, seeded: SeededServer) -> None:
    seeded.job(RunState.RUNNING)
    page = visit(chromium, seeded)
    posts: list[str] = []
    page.on("request", lambda request: posts.append(request.url) if request.method == "POST" else None)
    page.goto(f"{seeded.url}/jobs")
    page.locator(".job").get_by_role("button", name="Cancel").click()
    expect(page.locator("#confirm-question")).to_contain_text("Cancel Backfill profiles of maison.lune?")
    expect(page.locator("#confirm-no")).to_have_text("Keep running")
    seeded.job(RunState.RUNNING, resolved=230)
    expect(page.locator(".job-count strong")).to_have_text("275")
    expect(page.locator("#confirm")).to_be_visible()  # a poll of the same job does not close it
    seeded.job(RunState.DONE, minutes=5, took=290)
    expect(page.locator("#confirm")).to_be_hidden()
    expect(page.locator("#toasts")).to_contain_text("Backfill profiles of maison.lune had already ended.")
    assert posts == []
    page.context.close()


def test_a_cancel_that_is_too_late_says_so(chromium: Browser, seeded: SeededServer) -> None:
    seeded.job(RunState.RUNNING)
    page = visit(chromium, seeded)
    page.goto(f"{seeded.url}/jobs")
    page.locator(".job").get_by_role("button", name="Cancel").click()
    page.route("**/jobs/live*", lambda route: route.abort())  # the page does not know yet that the job has ended
    seeded.job(RunState.DONE, minutes=5, took=290)
    page.evaluate("document.querySelector('.job-actions form').remove()")  # what a poll does to a form without an ID
    page.locator("#confirm-yes").click()
    expect(page.locator(".toast[data-kind=error]")).to_contain_text("This job has already ended.")
    page.context.close()


def test_a_number_out_of_range_is_reported_and_does_not_block_later_changes(
    chromium: Browser, seeded: SeededServer
) -> None:
    seeded.job(None)
    page = visit(chromium, seeded)
    page.goto(f"{seeded.url}/jobs/new?scope=recent")
    days = page.get_by_label("Days to look back")
    days.fill("900")
    days.blur()
    expect(page.locator("#job-estimate")).to_contain_text("1 to 90")
    days.fill("3")
    days.blur()
    expect(page.locator("#job-estimate")).to_contain_text("API calls (estimated)")
    page.context.close()


def test_the_page_of_a_job_filters_its_contacts_and_follows_it(chromium: Browser, seeded: SeededServer) -> None:
    seeded.job(RunState.RUNNING)
    page = visit(chromium, seeded)
    page.goto(f"{seeded.url}/jobs")
    page.locator(".job-title a").click()
    page.wait_for_url(f"**/jobs/{RUN}")
    page.locator("#job-items").get_by_role("link", name=re.compile("Failed")).click()
    expect(page.locator("#job-items .segment-choice[aria-current]")).to_contain_text("Failed 14")
    page.locator("#job-items").get_by_role("link", name=re.compile("didn’t answer in time")).click()
    page.wait_for_url("**reason=timeout*")
    seeded.job(RunState.RUNNING, resolved=290)
    expect(page.locator(".job-count strong")).to_have_text("335", timeout=4_000)
    seeded.job(RunState.DONE, resolved=367, minutes=5, took=290)
    expect(page.locator(".toast")).to_contain_text("Backfill profiles finished")
    page.context.close()


def test_a_job_is_paused_and_resumed_in_place(chromium: Browser, seeded: SeededServer) -> None:
    seeded.job(RunState.RUNNING)
    page = visit(chromium, seeded)
    page.goto(f"{seeded.url}/jobs/{RUN}")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".job .chip")).to_have_text("Paused by Nadia K.")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".job .chip")).to_have_text("Running")
    assert page.url == f"{seeded.url}/jobs/{RUN}"
    page.context.close()
