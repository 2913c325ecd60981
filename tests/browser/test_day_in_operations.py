"""A day of ops and an admin, in Chromium, on real processes: from an access token that dies at night to the export."""

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from app import settings
from app.queue import QUEUES
from tests.browser.inbox_server import SETTLED
from tests.factories import CAMILLE, GHOST, LEA, MAISON_LUNE, SHY
from tests.sandbox.calls import INSTAGRAM_TOKEN
from tests.support import installation
from tests.support.alert_sinks import HttpSink, http_sink
from tests.support.installation import EMAIL, PASSWORD, Installation
from tests.support.processes import Processes
from tests.support.waiting import until

ADMIN = "ada@example.com"
STATE = f"SELECT state FROM accounts WHERE ig_account_id = '{MAISON_LUNE}'"
MISSED = ("Is the lamp in stock?", "And the small one?")


@pytest.fixture
def sink() -> Iterator[HttpSink]:
    with http_sink() as found:
        yield found


@pytest.fixture
def company(processes: Processes, sqlite_database: str, redis_server: str, redis: object) -> Installation:
    """A complete installation whose scheduler looks every second."""
    processes.ours = ("tests.support.short_checks",)
    processes.variables["ALERT_PRIVATE_ADDRESSES"] = "true"
    with settings.using(database_url=sqlite_database, redis_url=redis_server) as chosen:
        return installation.started(processes, chosen, queues=QUEUES)


def signed_in(chromium: Browser, company: Installation, email: str, path: str) -> Page:
    page = chromium.new_context(reduced_motion="reduce", accept_downloads=True).new_page()
    page.set_default_timeout(15_000)
    page.goto(f"{company.web.url}/login?next={path}")
    page.get_by_label("Email").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"**{path}*")
    return page


def of_tokens(sink: HttpSink) -> list[dict[str, Any]]:
    """Return what the receiver was sent about rejected access tokens."""
    sent = [json.loads(body) for body, _ in sink.requests]
    return [each for each in sent if each["data"].get("kind") == "token_rejected"]


def types(sink: HttpSink) -> list[str]:
    return [each["type"] for each in of_tokens(sink)]


def write(company: Installation, person: str, text: str, status: int = 200) -> None:
    assert company.sandbox.post("send", person=person, text=text)["status"] == status


@pytest.mark.timeout(180)
def test_ops_repair_what_broke_at_night(
    chromium: Browser, company: Installation, sink: HttpSink, tmp_path: Path
) -> None:
    company.command("user", "add", ADMIN, "--role", "admin", "--password-stdin", answer=PASSWORD)
    company.command("alert", "receivers", "add", sink.url)
    ops = signed_in(chromium, company, EMAIL, "/alerts")

    # At night the access token dies, and webhooks do not arrive for a while.
    company.sandbox.post("faults", mode="190", account=MAISON_LUNE)
    write(company, LEA, "Good evening")
    until(lambda: company.value(STATE) == "reconnect", "Meta rejects the access token")
    until(lambda: types(sink) == ["alert.opened"], "the receiver is sent the alert", 20)
    port = int(company.web.url.rpartition(":")[2])
    company.web.end()
    for text in MISSED:
        write(company, CAMILLE, text, status=0)
    company.web = company.processes.web(port=port)
    until(lambda: company.value("SELECT count(*) FROM gaps") == 1, "the gap is recorded")
    ops.goto(f"{company.web.url}/alerts")
    opened = ops.get_by_role("region", name=re.compile("^Open"))
    expect(opened).to_contain_text("Access token rejected")
    expect(opened).to_contain_text("maison.lune")

    # In the morning an admin reconnects the account.
    admin = signed_in(chromium, company, ADMIN, "/accounts")
    card = admin.get_by_role("region", name="maison.lune")
    expect(card).to_contain_text("It has not ended.")
    company.sandbox.request("DELETE", "faults")
    card.get_by_role("link", name="Reconnect").click()
    admin.get_by_label("Login").select_option("instagram")
    admin.get_by_label("Access token", exact=True).fill(INSTAGRAM_TOKEN)
    admin.get_by_role("button", name="Connect account").click()
    expect(admin.get_by_text("Connected maison.lune.")).to_be_visible()
    until(lambda: types(sink) == ["alert.opened", "alert.recovered"], "the receiver is sent the recovery", 20)
    until(lambda: company.value("SELECT state FROM gaps") == "closed", "a sync has read the gap", 20)
    report = "2 messages in 1 conversation were fetched"
    admin.reload()
    expect(card).to_contain_text(report)
    card.get_by_role("link", name=re.compile("Details of the gap")).click()
    expect(admin.locator("#job-live")).to_contain_text("Conversation sync")
    ops.goto(f"{company.web.url}/inbox?account={MAISON_LUNE}")
    expect(ops.locator(".list-gap")).to_contain_text(report)
    expect(ops.locator(".row-link").filter(has_text=MISSED[1])).to_be_visible()
    ops.goto(f"{company.web.url}/alerts")
    expect(ops.get_by_role("region", name="Recovered")).to_contain_text("Access token rejected")

    # Ops look up who is unknown, retry what a retry can help, and export the result.
    company.workers["resolve-participants"].end()
    for person in (GHOST, SHY):
        write(company, person, "Hello?")
    ops.goto(f"{company.web.url}/jobs/new?account={MAISON_LUNE}")
    expect(ops.locator("#job-estimate")).to_contain_text("Contacts to look up2")
    ops.get_by_role("button", name="Start for 2 contacts").click()
    expect(ops.locator("#job-live .chip").first).to_have_text("Some failed", timeout=30_000)
    ops.locator(".job-title a").click()
    ops.wait_for_url(re.compile(r"/jobs/[0-9a-f]{12}"))
    resolved = ops.locator("#job-items .segment-choice", has_text="Resolved")
    expect(resolved).to_have_text("Resolved 1")
    company.sandbox.request("PATCH", f"people/{GHOST}", error=None, username="ghost.returns")
    ops.get_by_role("button", name=re.compile("^Retry this reason")).click()
    expect(ops.locator("#job-live .chip").first).to_have_text("Done", timeout=30_000)
    expect(resolved).to_have_text("Resolved 2")
    ops.wait_for_function(SETTLED)
    with ops.expect_download() as download:
        ops.get_by_role("link", name="Export CSV").click()
    download.value.save_as(tmp_path / "items.csv")
    with (tmp_path / "items.csv").open(newline="", encoding="utf-8-sig") as file:
        exported = {row["participantPlatformId"].strip(): row for row in csv.DictReader(file)}
    assert {contact: row["state"] for contact, row in exported.items()} == {GHOST: "resolved", SHY: "resolved"}
    assert exported[GHOST]["displayName"] == "'@ghost.returns"
    assert types(sink) == ["alert.opened", "alert.recovered"]
    for page in (ops, admin):
        page.context.close()
