"""No secret, message text or name leaks into a log, a queue, a column or a page, whatever fails."""

import io
import json
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from flask import Flask
from redis import Redis
from sqlalchemy import update

from app import logs, queue, redis_client, scheduler, settings
from app.db import transaction
from app.errors import Conflict, Unavailable
from app.identities import resolve
from app.ingest import sync
from app.models.account import Account
from app.models.run import RunKind
from app.runs import lifecycle, runner
from app.sandbox.faults import MODES
from app.users import api_tokens
from app.viewer import OPERATOR, Role
from tests.factories import LEA, a_delivery, a_message_event, a_sandbox_account
from tests.support import leaks
from tests.support.processes import Sandbox
from tests.support.snapshot import places_of
from tests.support.webhooks import post_webhook, receive_webhook
from tests.web.browsing import PASSWORD, click, part, sign_in, signed_in

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)  # its files can be read

TEXT, NAME, SEARCH = "canarywort im Text", "Kanarina Vogel", "canarysearch"
GUESS = "canary-guess-at-a-password"
SLOW = frozenset({"hang", "drip"})  # each takes two seconds and covers nothing that others do not
PAGES = ("/inbox", "/inbox/1", "/jobs", "/identities", "/identities/1", "/accounts", "/insights", "/settings")


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """Everything that this process logs, at DEBUG, in the format of the log."""
    stream, root = io.StringIO(), logging.getLogger()
    handler, before = logging.StreamHandler(stream), root.level
    handler.setFormatter(logs.JsonFormatter())
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield stream
    root.removeHandler(handler)
    root.setLevel(before)


def token_of(account: Account) -> str:
    assert account.token
    return account.token.reveal()


@pytest.mark.timeout(120)
def test_no_secret_message_text_or_name_leaks_whatever_fails(
    app: Flask, meta: Sandbox, redis: Redis, written: io.StringIO, tmp_path: Path
) -> None:
    account = a_sandbox_account()
    token, program = token_of(account), api_tokens.create(OPERATOR, "canary", ["read", "jobs"])
    secrets = (token, program, PASSWORD, GUESS, settings.current().secret_key, *settings.current().meta_app_secrets)
    meta.request("PATCH", f"people/{LEA}", name=NAME)
    ops = signed_in(app, Role.ADMIN)
    cause_everything(app, account, meta)
    for_programs = app.test_client()
    for bearer in (program, f"{program}x"):
        for_programs.get(f"/messaging/conversations?q={SEARCH}", headers={"Authorization": f"Bearer {bearer}"})
    sign_in(app.test_client(), "admin@example.com", GUESS)
    pages = [ops.get(f"{address}?q={SEARCH}").text for address in PAGES]
    part(ops, f"/inbox/list?q={SEARCH}")
    click(ops, "/inbox/1/resolve")

    log = written.getvalue()
    assert len(log.splitlines()) > 20
    assert all(json.loads(line) for line in log.splitlines())
    for word in (*secrets, TEXT, NAME, "canarywort", "Kanarina", SEARCH, "lea.moreau"):
        assert word not in log, word
    assert leaks.keys_with(redis, *secrets, TEXT) == set()
    assert places_of(*secrets) == set()
    assert places_of(TEXT) == {"conversations", "messages", "dead_letters"}
    assert not any(secret in page for page in pages for secret in secrets)
    backup(tmp_path / "nametag.sqlite3", tmp_path / "backup.sqlite3")
    assert {"backup.sqlite3"} <= leaks.files_with(tmp_path, TEXT)
    assert leaks.files_with(tmp_path, *secrets) == set()


def test_an_access_token_with_a_lost_key_is_reported_and_stops_nothing_else(
    app: Flask, meta: Sandbox, redis: Redis
) -> None:
    account = a_sandbox_account()
    with settings.using(token_encryption_keys=(Fernet.generate_key().decode(),)):
        body = a_delivery(a_message_event(LEA))
        assert post_webhook(app.test_client(), body).status_code == 200
        with suppress(Exception):
            resolve.look_up_due(account.id)
        admin = signed_in(app, Role.ADMIN)
        for address in PAGES:
            assert admin.get(address, follow_redirects=True).status_code == 200, address
        assert "Cannot decrypt" in admin.get("/accounts").text
        for duty in scheduler.DUTIES:
            duty()


def cause_everything(app: Flask, account: Account, meta: Sandbox) -> None:
    """Deliver events, fail in every way that the sandbox knows, sync, run jobs, raise an error of our own."""
    for body in (
        a_delivery(a_message_event(LEA, TEXT)),
        a_delivery(a_message_event(LEA, TEXT), ig_account_id="17841409999999999"),
        a_delivery(a_message_event(LEA, TEXT, recipient="1520000000009999")),
        b"{" + TEXT.encode(),
    ):
        receive_webhook(body)
        app.test_client().post("/webhooks/instagram", data=body, headers={"X-Hub-Signature-256": "sha256=0"})
    for mode in sorted(MODES - SLOW):
        meta.post("faults", mode=mode)
        try_names(account)
        meta.request("DELETE", "faults")
    try_names(account)
    sync.sync_account(account.id, limit=5)
    runner.run_slice(lifecycle.start(OPERATOR, account.id, kind=RunKind.REFRESH))
    with pytest.raises(Exception, match="hidden"), transaction.write() as tx:
        tx.execute(update(Account).values(location_id=NAME, ig_account_id=None, username=TEXT))
    logging.getLogger("app").exception("logged as errors of the app are")
    with settings.using(redis_url="unix:///nowhere/redis.sock"):
        queue.enqueue(queue.RESOLVE, account.id)


def try_names(account: Account) -> None:
    for key in redis_client.client().scan_iter("nametag:stop:*"):  # each fault begins with closed circuit breakers
        redis_client.client().delete(key)
    with transaction.write() as tx:
        tx.execute(update(Account).values(state="connected", state_reason=None))
    plan_of = lifecycle.start(OPERATOR, account.id, kind=RunKind.REFRESH)
    with suppress(Unavailable):
        runner.run_slice(plan_of)
    with suppress(Conflict):  # it has ended
        lifecycle.cancel(OPERATOR, plan_of)


def backup(database: Path, copy: Path) -> None:
    connection = sqlite3.connect(database)
    connection.execute("VACUUM INTO ?", (str(copy),))
    connection.close()
