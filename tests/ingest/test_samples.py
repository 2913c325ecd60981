"""The result of each sample webhook: a message, a pending update, a dead letter or a count."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from app.db.engine import db
from app.models.account import Account
from app.models.conversation import Message
from app.models.ingest import DeadLetter, PendingMessageUpdate
from tests.factories import ATELIER_NORD, MAISON_LUNE, MAISON_LUNE_IGSID, an_account
from tests.support.webhooks import receive_webhook

FOLDER = Path(__file__).parents[1] / "samples"


@dataclass
class End:
    """The expected rows of one sample."""

    messages: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    passed: int = 0
    dead: tuple[str, ...] = ()


ENDS = {
    "attachment-audio": End(("audio",)),
    "attachment-ephemeral": End(("ephemeral",)),
    "attachment-file": End(("file",)),
    "attachment-ig-post": End(("share",)),
    "attachment-ig-reel": End(("reel",)),
    "attachment-ig-story": End(("story",)),
    "attachment-image": End(("image",)),
    "attachment-multi": End(("image",)),
    "attachment-reel": End(("reel",)),
    "attachment-share": End(("share",)),
    "attachment-story-mention": End(("story_mention",)),
    "attachment-template-empty": End(("template",)),
    "attachment-unsupported-type": End(("unsupported",)),
    "attachment-video": End(("video",)),
    "batch": End(("text", "text", "text", "text"), ("MessageSeen",)),
    "changes-comment": End(passed=1),
    "changes-variant": End(dead=("unknown_account",)),
    "echo": End(("text",)),
    "echo-template": End(("template",)),
    "edit": End(waiting=("MessageEdited",)),
    "edit-zero": End(waiting=("MessageAnnounced",)),
    "edit-zero-no-sender": End(waiting=("MessageAnnounced",)),
    "flat-variant": End(passed=1),
    "handover": End(("handover",)),
    "inline-reply": End(("text",)),
    "optin": End(("optin",)),
    "postback": End(("postback",)),
    "postback-self": End(),
    "quick-reply": End(("text",)),
    "reaction": End(waiting=("ReactionChanged",)),
    "reaction-unreact": End(waiting=("ReactionChanged",)),
    "read": End(waiting=("MessageSeen",)),
    "referral": End(("referral",)),
    "referral-ad": End(("text",)),
    "referral-product": End(("text",)),
    "self": End(),
    "standby": End(("text",)),
    "story-reply": End(("story_reply",)),
    "text": End(("text",)),
    "text-unicode": End(("text",)),
    "unsend": End(waiting=("MessageUnsent",)),
    "unsupported": End(("unsupported",)),
}
NOT_DELIVERIES = {"signature-vectors", "verification"}


def deliver(name: str) -> None:
    body = (FOLDER / f"webhook-{name}.json").read_bytes()
    assert receive_webhook(body).status == 200


def test_every_sample_has_an_expected_result() -> None:
    names = {path.stem.removeprefix("webhook-") for path in FOLDER.glob("webhook-*.json")}
    assert names == ENDS.keys() | NOT_DELIVERIES


@pytest.mark.parametrize("name", ENDS)
def test_a_sample_has_its_result_however_often_it_is_delivered(app: Flask, name: str) -> None:
    account = an_account()
    an_account(ATELIER_NORD)
    for _ in range(2):
        deliver(name)
    db.session.expire_all()
    found = End(
        messages=tuple(db.session.scalars(select(Message.kind).order_by(Message.id))),
        waiting=tuple(db.session.scalars(select(PendingMessageUpdate.kind))),
        passed=db.session.get_one(Account, account.id).ignored_events // 2,
        dead=tuple(db.session.scalars(select(DeadLetter.reason))),
    )
    assert found == ENDS[name]


@pytest.mark.parametrize("name", ["self", "postback-self"])
def test_a_message_to_itself_adds_an_own_id_of_the_account(app: Flask, name: str) -> None:
    account = an_account(MAISON_LUNE, own_ids=[])
    deliver(name)
    db.session.expire_all()
    assert db.session.get_one(Account, account.id).own_ids == [MAISON_LUNE_IGSID]


def test_the_token_of_an_opt_in_is_not_stored(app: Flask) -> None:
    an_account()
    deliver("optin")
    assert "sample-optin-token" not in json.dumps(db.session.scalars(select(Message.context)).one())
