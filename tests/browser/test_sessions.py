"""Signing out, and a session that ends while its pages are open."""

from urllib.parse import urlsplit

from playwright.sync_api import Browser

from app.users import people
from app.viewer import OPERATOR, Role
from tests.browser.desk import PASSWORD, Desk


def test_signing_out_leaves_other_sites_of_the_domain_and_own_choices_alone(chromium: Browser, desk: Desk) -> None:
    people.add(OPERATOR, "leaving@example.com", role=Role.AGENT, password=PASSWORD)
    site = f"http://inbox.shop.localhost:{urlsplit(desk.url).port}"
    cookies = (("shared", ".shop.localhost"), ("crm", "crm.shop.localhost"), ("theme", "inbox.shop.localhost"))
    with chromium.new_context() as context:
        context.add_cookies([{"name": name, "value": "dark", "domain": host, "path": "/"} for name, host in cookies])
        page = context.new_page()
        Desk(site, desk.account).sign_in(page, "leaving@example.com")
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
