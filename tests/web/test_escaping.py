"""Escaping: no page, part, file or response has an HTML element that a template did not write."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from app import queue, settings
from app.db import transaction
from app.db.engine import db
from app.factory import create_app
from app.models.account import Account
from app.models.conversation import Conversation
from app.models.identity import Identity
from app.models.ingest import DeadLetter
from app.models.run import ItemState, Run, RunItem, RunKind
from app.runs import lifecycle
from app.viewer import OPERATOR, Role
from tests.api.clients import an_api_client
from tests.factories import a_delivery, a_message_event, an_account
from tests.support import databases
from tests.support.html_payloads import PAYLOADS, PLAIN
from tests.support.web_client import WebClient
from tests.support.webhooks import receive_webhook
from tests.web.browsing import HTMX, signed_in

BREAK = "\"'>"


class Skeleton(HTMLParser):
    """Parses a page: its elements with the names of their attributes, and the targets of its links."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: set[tuple[str, tuple[str, ...]]] = set()
        self.addresses: set[str] = set()
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add((tag, tuple(sorted({name for name, _ in attrs}))))
        self.addresses |= {
            value or "" for name, value in attrs if name in ("href", "src", "action", "hx-get", "hx-post")
        }


@pytest.fixture
def furnished(sqlite_database: str, redis: Redis, tmp_path: Path) -> Iterator[Callable[[tuple[str, ...]], Flask]]:
    """Opens an installation in which every field with untrusted content has this text."""
    with (
        settings.using(database_url=sqlite_database, nametag_data_dir=tmp_path),
        databases.app_context_of(create_app()) as app,
    ):
        app.test_client_class = WebClient

        def filled(words: tuple[str, ...]) -> Flask:
            _fill(words)
            return app

        yield filled


def _fill(words: tuple[str, ...]) -> None:
    account = an_account()
    for place, each in enumerate(words):
        person = f"15200000000007{place:02d}"
        kinds = [
            a_message_event(person, each),
            a_message_event(person, None, attachments=[{"type": "share", "payload": {"url": each, "title": each}}]),
            a_message_event(person, None, attachments=[{"type": "image", "payload": {"url": each}}]),
            a_message_event(person, None, attachments=[{"type": each, "payload": {"url": each, "title": each}}]),
            a_message_event(person, each, reply_to={"story": {"url": each, "id": each}}),
            a_message_event(person, each, quick_reply={"payload": each}),
            {
                "sender": {"id": person},
                "recipient": {"id": account.ig_account_id},
                "timestamp": 1,
                "postback": {
                    "mid": f"m_postback_{place}",
                    "title": each,
                    "payload": each,
                    "referral": {"ref": each, "source": each, "type": each},
                },
            },
            {"sender": {"id": person}, "recipient": {"id": account.ig_account_id}, "timestamp": 1, each: each},
        ]
        body = a_delivery(*kinds)
        receive_webhook(body)
    run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
    _poison(words, account.id, run_id)
    queue.enqueue(queue.RESOLVE, account.id, job_id="poisoned", description=words[1])


def _poison(words: tuple[str, ...], account_id: int, run_id: str) -> None:
    # Not through the functions that sanitize input: pages must escape in any case.
    with transaction.write() as tx:
        people = tx.execute(select(Identity.id, Identity.ig_participant_id).order_by(Identity.id)).all()
        for row, each in zip(people, words, strict=True):
            identity_id, person = row.id, row.ig_participant_id
            named = {"username": each[:80], "name": each[:80], "picture_url": each, "last_error": each[:32]}
            tx.execute(update(Identity).where(Identity.id == identity_id).values(**named))
            shown = {"last_message_preview": each}
            tx.execute(update(Conversation).where(Conversation.ig_participant_id == person).values(**shown))
            failed = {"state": ItemState.FAILED, "reason": each[:32], "code": each[:32]}
            tx.execute(
                update(RunItem).where(RunItem.run_id == run_id, RunItem.ig_participant_id == person).values(**failed)
            )
        tx.execute(update(DeadLetter).values(reason=words[0][:32], explanation=words[1]))
        tx.execute(update(Run).values(reason=words[2][:64]))
        tx.execute(
            update(Account).where(Account.id == account_id).values(username=words[3][:80], state_reason=words[4])
        )


def _pages(client: FlaskClient) -> dict[str, TestResponse]:
    people = db.session.scalars(select(Identity.id)).all()
    threads = db.session.scalars(select(Conversation.id)).all()
    db.session.rollback()
    whole = ["/inbox", "/inbox?filter=unknown", "/jobs", "/identities", "/accounts", "/insights", "/settings", "/audit"]
    whole += [
        "/users",
        "/dead-letters",
        "/jobs/unresolved",
        "/jobs/history",
        "/jobs/live",
        "/jobs/new",
        f"/nothing/{BREAK}",
    ]
    whole += [f"/inbox/{each}" for each in threads] + [f"/identities/{each}" for each in people]
    queues = ["/admin/queues/", "/admin/queues/0/view/job/poisoned", "/admin/queues/0/view/jobs"]
    parts = ["/inbox/list", "/inbox/list/more", "/jobs/live", "/jobs/history", "/jobs/unresolved", "/identities"]
    parts += [f"/inbox/{each}/messages" for each in threads[:5]] + ["/dead-letters"]
    found = {address: client.get(address) for address in [*whole, *queues]}
    return found | {f"part {address}": client.get(address, headers=HTMX) for address in parts}


def test_no_page_has_an_element_that_its_template_did_not_write(
    furnished: Callable[[tuple[str, ...]], Flask], tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path
) -> None:
    app = furnished(PAYLOADS)
    hostile = _pages(signed_in(app, Role.ADMIN))
    calm_file = databases.copy_of(sqlite_template, tmp_path_factory.mktemp("calm"))
    with settings.using(database_url=calm_file), databases.app_context_of(create_app()) as calm:
        calm.test_client_class = WebClient
        _fill(PLAIN)
        written = {
            element for page in _pages(signed_in(calm, Role.ADMIN)).values() for element in Skeleton(page.text).elements
        }
    for address, page in hostile.items():
        assert page.status_code in ((200,) if "/queues" in address else (200, 303, 404)), (address, page.status_code)
        skeleton = Skeleton(page.text)
        assert skeleton.elements - written == set(), address
        assert {each for each in skeleton.addresses if each.lower().startswith(("javascript:", "data:", "//"))} == set()
        assert "hx-" not in page.headers.get("HX-Trigger", "")
    assert any("alert(1)" in page.text for page in hostile.values())


def test_files_and_answers_carry_the_words_as_they_are(furnished: Callable[[tuple[str, ...]], Flask]) -> None:
    app = furnished(PAYLOADS)
    crm = an_api_client(app)
    listed = crm.get("/messaging/conversations?limit=100")
    assert listed.content_type == "application/json"
    assert {each["lastMessagePreview"] for each in listed.get_json()["data"]} == set(PAYLOADS)
    lines = crm.get("/api/identities/export?format=jsonl").text.splitlines()
    assert {json.loads(line)["name"] for line in lines} == {each[:80] for each in PAYLOADS}
    exported = crm.get("/api/identities/export?format=csv")
    rows = list(csv.DictReader(io.StringIO(exported.text)))
    assert len(rows) == len(PAYLOADS)
    assert {row["name"].removeprefix("'") for row in rows} >= {each[:80] for each in PAYLOADS if each[0] not in "'\""}
    for answer in (listed, exported):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "text/html" not in answer.content_type
