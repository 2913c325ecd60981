"""Send hostile and broken bodies to the webhook route: never a 5xx, and no valid item of the delivery is lost."""

import random

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app import clock
from app.db.engine import db
from app.models.conversation import Conversation, Message
from app.models.identity import Identity
from app.models.ingest import DeadLetter
from app.viewer import Role
from tests.factories import a_delivery, a_message_event, an_account
from tests.support.mutations import SAMPLES, bytes_mutated, with_valid_item
from tests.support.webhooks import post_webhook, signed_headers
from tests.web.browsing import signed_in

SHARE_SIGNED = 0.7


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    an_account()
    return app.test_client()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)  # tests the route, not the database
def test_no_body_causes_an_error_or_loses_a_valid_item(client: FlaskClient, pytestconfig: pytest.Config) -> None:
    chance = random.Random(20261121)
    sent = 0
    for number in range(pytestconfig.getoption("bodies")):
        body = with_valid_item(chance.choice(SAMPLES), f"valid-{number}", chance) if number % 10 == 0 else None
        sent += body is not None
        body = body or bytes_mutated(chance.choice(SAMPLES), chance)
        headers = (
            signed_headers(body)
            if number % 10 == 0 or chance.random() < SHARE_SIGNED
            else {"X-Hub-Signature-256": "sha256=0"}
        )
        answer = client.post("/webhooks/instagram", data=body, headers=headers)
        assert answer.status_code < 500, body
    stored = select(func.count()).select_from(Message).where(Message.mid.startswith("valid-"))
    assert db.session.execute(stored).scalar_one() == sent


HOSTILE = {
    "100,000 levels": b'{"object": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "33 levels": b'{"object": ' + b"[" * 33 + b"]" * 33 + b"}",
    "5,000 digits": b'{"object": "instagram", "entry": ' + b"9" * 5_000 + b"}",
    "infinity": b'{"object": "instagram", "entry": [1e400]}',
    "NaN": b'{"object": "instagram", "entry": [NaN]}',
    "UTF-16": a_delivery(a_message_event()).decode().encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf" + a_delivery(a_message_event()),
    "a byte that is no UTF-8": a_delivery(a_message_event()).replace(b"Bonjour", b"\xff\xfe"),
}
CLEANED = {
    "doubled keys": a_delivery(a_message_event(text="first")).replace(b'"text"', b'"text": 7, "text"'),
    "half a surrogate pair": a_delivery(a_message_event(text="half")).replace(b"half", b"\\ud83d half"),
    "a NUL in a text": a_delivery(a_message_event(text="nul")).replace(b"nul", b"\\u0000 nul"),
    "a NUL and a half in a key": a_delivery(a_message_event(a_key=1)).replace(b"a_key", b"\\u0000\\ud83d"),
    "a NUL in a mid": a_delivery(a_message_event(mid="mid-x")).replace(b"mid-x", b"mid-\\u0000\\ud83d"),
    "a NUL in an id": a_delivery(a_message_event("1520000000000099")).replace(b"0000099", b"000\\u0000\\ud83d"),
    "a NUL in a title": a_delivery(
        a_message_event(attachments=[{"type": "share", "payload": {"url": "https://x.fbcdn.net/", "title": "TITLE"}}])
    ).replace(b"TITLE", b"\\u0000\\ud83d"),
    "2 to the 63rd as a time": a_delivery(a_message_event(at_ms=2**63)),
}


def test_hostile_json_is_stored_or_cleaned_and_every_page_renders(app: Flask) -> None:
    an_account()
    client, admin = app.test_client(), signed_in(app, role=Role.ADMIN)
    for name, body in (HOSTILE | CLEANED).items():
        began = clock.monotonic()
        answer = post_webhook(client, body)
        assert clock.monotonic() - began < 0.25, name
        assert answer.status_code == (400 if name in HOSTILE else 200), name
    db.session.rollback()
    whole = list(db.session.scalars(select(DeadLetter.explanation).where(DeadLetter.ig_account_id.is_(None))))
    assert len(whole) == len(HOSTILE)
    assert all(explanation.startswith("the body") for explanation in whole)
    texts = set(db.session.scalars(select(Message.text)))
    assert {"first", "\ufffd half", "\ufffd nul"} <= texts
    for url in _readable(app):
        assert admin.get(url, follow_redirects=True).status_code == 200, url


def _readable(app: Flask) -> list[str]:
    plain = [rule.rule for rule in app.url_map.iter_rules() if "GET" in (rule.methods or ()) and not rule.arguments]
    other = ("/api", "/messaging", "/webhooks", "/admin", "/login/", "/metrics")
    ours = [path for path in plain if not path.startswith(other)]
    conversations = [f"/inbox/{number}" for number in db.session.scalars(select(Conversation.id))]
    people = [f"/identities/{number}" for number in db.session.scalars(select(Identity.id))]
    assert conversations
    return [*ours, *conversations, *people, "/identities/export?format=jsonl"]


def test_a_delivery_of_a_thousand_items_is_stored(app: Flask) -> None:
    an_account()
    events = [a_message_event(str(10**15 + number % 50), f"Message {number}") for number in range(1000)]
    body = a_delivery(*events)
    assert post_webhook(app.test_client(), body).status_code == 200
    db.session.rollback()
    assert db.session.execute(select(func.count()).select_from(Message)).scalar_one() == 1000
