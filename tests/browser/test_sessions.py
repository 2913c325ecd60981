"""Signing out, and a session that ends while its pages are open."""

from dataclasses import replace
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, expect

from app.users import users
from app.viewer import OPERATOR, Role
from tests.browser.inbox_server import PASSWORD, InboxServer
from tests.factories import LEA, RUI


def test_signing_out_leaves_other_sites_of_the_domain_and_own_choices_alone(
    chromium: Browser, inbox: InboxServer
) -> None:
    users.add_user(OPERATOR, "leaving@example.com", role=Role.AGENT, password=PASSWORD)
    site = f"http://inbox.shop.localhost:{urlsplit(inbox.url).port}"
    cookies = (("shared", ".shop.localhost"), ("crm", "crm.shop.localhost"), ("theme", "inbox.shop.localhost"))
    with chromium.new_context() as context:
        context.add_cookies([{"name": name, "value": "dark", "domain": host, "path": "/"} for name, host in cookies])
        page = context.new_page()
        replace(inbox, url=site).sign_in(page, "leaving@example.com")
        page.evaluate("localStorage.setItem('nametag:shortcuts', 'off')")
        before = {cookie["name"] for cookie in context.cookies()}
        page.locator(".rail-me summary").click()
        page.get_by_role("button", name="Sign out", exact=True).click()
        page.wait_for_url("**/login*")
        assert before >= {"shared", "crm", "theme", "nametag"}
        assert {cookie["name"] for cookie in context.cookies()} >= before - {"nametag"}
        assert page.evaluate("localStorage.getItem('nametag:shortcuts')") == "off"
        page.goto(f"{site}/inbox")
        page.wait_for_url("**/login*")


def test_a_poll_after_the_session_ended_shows_why_and_leads_back(page: Page, inbox: InboxServer) -> None:
    users.add_user(OPERATOR, "ended@example.com", role=Role.AGENT, password=PASSWORD)
    inbox.sign_in(page, "ended@example.com")
    page.goto(f"{inbox.url}/inbox?filter=unread")
    users.change_password(OPERATOR, "ended@example.com", password=PASSWORD)
    page.evaluate("htmx.trigger(document.querySelector('[data-poll=list]'), 'poll:now')")
    expect(page.get_by_role("status")).to_have_text("Your session ended. Sign in to continue where you were.")
    page.get_by_label("Email").fill("ended@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/inbox?filter=unread")


def test_a_click_after_the_session_ended_leads_to_the_clicked_row(page: Page, inbox: InboxServer) -> None:
    users.add_user(OPERATOR, "clicked@example.com", role=Role.AGENT, password=PASSWORD)
    inbox.sign_in(page, "clicked@example.com")
    inbox.open(page, LEA)
    users.change_password(OPERATOR, "clicked@example.com", password=PASSWORD)
    page.locator(f"#c{inbox.conversation(RUI)} .row-link").click()
    expect(page.get_by_role("status")).to_have_text("Your session ended. Sign in to continue where you were.")
    page.get_by_label("Email").fill("clicked@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"**/inbox/{inbox.conversation(RUI)}?account=*")
    expect(page.locator("#thread-name")).to_have_text("@rui.costa")
