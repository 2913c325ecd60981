"""Webhooks in the shapes that Meta sends, as the conversation, the API and the dead letters show them."""

import html
import json
import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from app import clock, doctor, settings
from app.db import transaction
from app.db.engine import db
from app.db.types import digest
from app.findings import Level
from app.ingest import dead_letters, receive, replay
from app.ingest.replay import Replayed
from app.models.account import Account
from app.models.conversation import Conversation, Message
from app.models.identity import Identity
from app.models.ingest import DeadLetter
from app.viewer import OPERATOR
from tests.api.clients import an_api_client
from tests.factories import (
    LEA,
    MAISON_LUNE,
    MAISON_LUNE_IGSID,
    a_delivery,
    a_message_event,
    an_account,
    an_echo_event,
)
from tests.support.frozen_clock import FrozenClock
from tests.support.webhooks import receive_webhook, signature_of, signed_headers
from tests.web.browsing import part, signed_in

PHOTO = "https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id=7&signature=q"
PARTIES = {"sender": {"id": LEA}, "recipient": {"id": MAISON_LUNE}}


@pytest.fixture
def account(app: Flask) -> Account:
    return an_account()


def deliver(*events: dict[str, Any]) -> receive.DeliveryResult:
    return post(a_delivery(*events))


def post(body: bytes) -> receive.DeliveryResult:
    return receive_webhook(body)


def change(field: str, value: Any) -> receive.DeliveryResult:
    entry = {"id": MAISON_LUNE, "time": 1, "changes": [{"field": field, "value": value}]}
    return post(json.dumps({"object": "instagram", "entry": [entry]}).encode())


def attached(*attachments: Any, **more: Any) -> dict[str, Any]:
    return a_message_event(LEA, None, attachments=list(attachments), **more)


def readable(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def thread(app: Flask) -> str:
    return part(signed_in(app), "/inbox/1/messages").text


def messages() -> list[Message]:
    db.session.expire_all()
    return list(db.session.scalars(select(Message).order_by(Message.id)))


def reasons() -> list[str]:
    db.session.expire_all()
    return list(db.session.scalars(select(DeadLetter.reason).order_by(DeadLetter.id)))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("follow", {"from": {"id": LEA}, "timestamp": 1790000000}),
        ("story_reactions", {"media_id": "18000000000000001", "reaction": "love"}),
        ("delta", {}),
        *((name, {}) for name in ("share_to_story", "comment_poll_response", "story_poll_response")),
        *((f"creator_marketplace_{name}", {}) for name in ("projects", "invited_creator_onboarding")),
        ("onboarding_welcome_message_series", {}),
    ],
)
def test_a_field_without_messages_is_counted_and_ignored(account: Account, field: str, value: Any) -> None:
    assert change(field, value) == receive.DeliveryResult(200, stored=1)
    db.session.expire_all()
    assert (db.session.get_one(Account, account.id).ignored_events, reasons()) == (1, [])


@pytest.mark.parametrize("field", ["agent_messages", "a_field_of_tomorrow"])
def test_a_message_in_another_field_is_shown_as_sent(account: Account, field: str) -> None:
    change(field, an_echo_event(LEA, "Hello from the agent"))
    [message] = messages()
    assert (message.outgoing, message.text) == (True, "Hello from the agent")


def test_an_unknown_field_without_a_message_is_a_dead_letter_that_names_it(account: Account) -> None:
    change("telepathy", {"thought": 1})
    letter = db.session.scalars(select(DeadLetter)).one()
    assert (letter.reason, "telepathy" in letter.explanation) == ("unknown_kind", True)


def test_a_delivery_receipt_is_ignored(account: Account) -> None:
    assert (
        deliver(PARTIES | {"timestamp": 1790000000000, "delivery": {"mids": ["m"], "watermark": 1}}).dead_letters == 0
    )
    assert (messages(), reasons()) == ([], [])


def test_a_reply_to_a_contact_s_story_says_whose_story_it_is(app: Flask, account: Account) -> None:
    story = {"story": {"id": "18000000000000002", "url": "https://example.com/s.jpg"}}
    deliver(an_echo_event(LEA, "Lovely!", reply_to=story), an_echo_event(LEA, None, reply_to=story))
    shown = thread(app)
    assert shown.count("Replied to their story") == 2
    assert "Replied to your story" not in shown
    assert an_api_client(app).get("/messaging/conversations").get_json()["data"][0]["lastMessagePreview"] in (
        "Replied to their story",
        "Lovely!",
    )


def test_our_mention_says_whose_story_it_is(app: Flask, account: Account) -> None:
    mention = [{"type": "story_mention", "payload": {"url": PHOTO}}]
    deliver(an_echo_event(LEA, None, attachments=mention))
    assert "Mentioned them in your story" in thread(app)
    assert "Mentioned them in your story" in readable(signed_in(app, email="b@example.com").get("/inbox").text)


STICKER = {"type": "sticker", "payload": {"url": PHOTO, "sticker_id": 369239263222822}}


def test_a_sticker_is_one_picture_with_or_without_its_image(app: Flask, account: Account) -> None:
    deliver(attached(STICKER | {"type": "image"}, STICKER), attached(STICKER))
    assert [[each["kind"] for each in message.attachments or ()] for message in messages()] == [["image"], ["sticker"]]
    assert (thread(app).count("<img src="), reasons()) == (2, [])
    deliver(attached({"type": "sticker"}))
    assert "Sticker" in readable(part(signed_in(app, email="b@example.com"), "/inbox/1/messages").text)


def post_in(url: str, type_: str, **payload: str) -> dict[str, Any]:
    return {"type": type_, "payload": {"url": f"https://lookaside.fbsbx.com/x?asset_id=9&signature={url}"} | payload}


@pytest.mark.parametrize(
    ("first", "second", "number"),
    [
        (post_in("a", "share", ig_post_media_id="1"), post_in("b", "ig_post", ig_post_media_id="1"), 1),
        (post_in("a", "share"), post_in("b", "ig_post", ig_post_media_id="1"), 1),
        (post_in("a", "share", ig_post_media_id="1"), post_in("b", "ig_post"), 1),
        (post_in("a", "share"), post_in("b", "ig_post"), 1),
        (post_in("a", "share", ig_post_media_id="1"), post_in("a", "ig_post", ig_post_media_id="2"), 2),
        (post_in("a", "share"), {"type": "ig_post", "payload": {"url": PHOTO}}, 2),
    ],
)
def test_a_post_shared_as_two_types_is_shown_once(account: Account, first: Any, second: Any, number: int) -> None:
    deliver(attached(first, second))
    assert len(messages()[0].attachments or ()) == number


@pytest.mark.parametrize(
    "emoji", ["👩🏽‍❤️‍💋‍👨🏻", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "❤️", "👍🏽", "🇫🇷", "1️⃣"]
)
def test_a_reaction_is_exactly_the_emoji_that_was_sent(app: Flask, account: Account, emoji: str) -> None:
    deliver(an_echo_event(LEA, "Bonsoir", mid="m"))
    deliver(PARTIES | {"timestamp": 1790000000000, "reaction": {"mid": "m", "action": "react", "emoji": emoji}})
    assert f">{emoji}</span>" in thread(app)


@pytest.mark.parametrize(
    "event",
    [
        {"referral": {"ref": "shop", "source": "SHORTLINK", "type": "OPEN_THREAD"}},
        {"optin": {"type": "notification_messages"}},
        {"pass_thread_control": {"new_owner_app_id": "7"}},
        {"postback": {"title": "Opening hours?", "payload": "HOURS"}},
    ],
)
@pytest.mark.parametrize("minutes_ahead", [None, 30])
def test_an_event_without_mid_delivered_twice_is_stored_once(
    account: Account, frozen_clock: FrozenClock, event: dict[str, Any], minutes_ahead: int | None
) -> None:
    at = {} if minutes_ahead is None else {"timestamp": int(clock.now().timestamp() + 60 * minutes_ahead) * 1000}
    for minutes in (0, 1, 25):
        frozen_clock.forward(minutes=minutes)
        deliver(PARTIES | event | at)
    assert len(messages()) == 1


def test_a_tap_without_mid_is_shown_as_a_tap(app: Flask, account: Account) -> None:
    deliver(PARTIES | {"timestamp": 1790000000000, "postback": {"title": "Opening hours?", "payload": "HOURS"}})
    assert "Tapped Opening hours?" in readable(thread(app))
    assert reasons() == []


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ({"generic": {"elements": [{"title": "Blue dress", "subtitle": "49 EUR"}]}}, ["Blue dress", "49 EUR"]),
        ({"product": {"elements": [{"id": "77", "retailer_id": "SKU-9", "title": "Blue dress"}]}}, ["Blue dress"]),
        ({"generic": {"elements": [{"title": "First"}, {"title": "Second"}]}}, ["First", "Second"]),
        ({"elements": [{"title": "Blue dress", "buttons": [{"title": "Buy now"}]}]}, ["Blue dress", "Buy now"]),
        ({"button": {"text": "Which size?", "buttons": [{"title": "M"}]}}, ["Which size?", "M"]),
        ({"generic": {"elements": []}}, ["Shared a card without content"]),
    ],
)
def test_the_text_of_a_template_is_shown(app: Flask, account: Account, payload: Any, words: list[str]) -> None:
    deliver(an_echo_event(LEA, None, attachments=[{"type": "template", "payload": payload}]))
    shown = readable(thread(app))
    assert [each for each in words if each not in shown] == []
    assert reasons() == []


def test_attachments_need_not_be_a_list(app: Flask, account: Account) -> None:
    image = {"type": "image", "payload": {"url": PHOTO}}
    location = {"type": "location", "payload": {"coordinates": {"lat": 52.5, "long": 13.4}}}
    fallback = {"type": "fallback", "title": "A link", "url": "https://example.com/a"}
    for attachments in (image, "none", [location], [fallback]):
        deliver(a_message_event(LEA, None, attachments=attachments))
    shown = thread(app)
    assert len(messages()) == 4
    assert "<img src=" in shown
    assert 'href="https://example.com/a"' in shown
    for words in ("A link", "52.5, 13.4", "Instagram sent this message without content"):
        assert words in readable(shown)
    assert reasons() == ["partly_understood"]


CLIP = {"type": "ig_clip_v2", "payload": {"url": PHOTO, "title": "A clip"}}


@pytest.mark.parametrize("first", [CLIP, {"type": "ephemeral"}, {}])
def test_an_unsupported_attachment_hides_no_other(app: Flask, account: Account, first: Any) -> None:
    deliver(attached(first, {"type": "image", "payload": {"url": f"{PHOTO}&asset_id=8"}}))
    [message] = messages()
    assert message.kind == "image"
    assert "<img src=" in thread(app)
    assert an_api_client(app).get("/messaging/conversations").get_json()["data"][0]["lastMessagePreview"] == "Photo"


def test_messages_without_usable_content_say_what_is_missing(app: Flask, account: Account) -> None:
    deliver(
        attached({"type": "hologram"}),
        attached({"type": "unsupported_type"}),
        attached(is_unsupported=True),
        a_message_event(LEA, None),
        a_message_event(LEA, "\u200b"),
    )
    shown = readable(thread(app))
    for words in (
        "Unknown attachment type: hologram",
        "This type of attachment can only be viewed in Instagram.",
        "This type of message can only be viewed in Instagram.",
        "Instagram sent this message without content",
        "Empty message",
    ):
        assert shown.count(words) == 1, words


def test_a_message_shown_in_part_becomes_a_note_not_a_dead_letter(app: Flask, account: Account) -> None:
    body = a_delivery(attached(CLIP, mid="m"))
    for _ in range(2):
        assert post(body) == receive.DeliveryResult(200, stored=1)
    note = db.session.scalars(select(DeadLetter)).one()
    assert (note.reason, note.account_id, note.times) == (dead_letters.PARTLY_UNDERSTOOD, account.id, 2)
    assert "ig_clip_v2" in note.explanation
    assert json.loads(note.raw)["entry"][0]["messaging"][0]["message"]["attachments"] == [CLIP]
    assert dead_letters.count(OPERATOR) == 0
    [found] = [each for each in doctor.examine(OPERATOR) if each.check == "dead letters"]
    assert found.level is Level.OK
    page = signed_in(app).get("/dead-letters").text
    assert "1 shown in part" in page
    assert "attachment type ig_clip_v2 is unknown" in page
    assert replay.replay_all(OPERATOR) == Replayed(0, 0)
    assert replay.replay_one(OPERATOR, note.id) == Replayed(0, 1)


def test_an_unsend_deletes_the_note_of_its_message(account: Account) -> None:
    unsend = PARTIES | {"timestamp": 1790000000000, "message": {"mid": "m", "is_deleted": True}}
    deliver(attached(CLIP, mid="m"))
    deliver(unsend)
    assert reasons() == []
    deliver(attached(CLIP, mid="m"))
    assert reasons() == []
    deliver(unsend | {"message": {"mid": "n", "is_deleted": True}})
    deliver(attached(CLIP, mid="n"))
    assert reasons() == []


def test_a_body_that_an_upgrade_can_read_leaves_only_its_notes(account: Account) -> None:
    body = a_delivery(attached(CLIP, mid="m"), a_message_event(mid="n"))
    with transaction.write() as tx:  # as an earlier release kept it
        dead_letters.keep_body(tx, body, explanation="The body is unreadable.", at=clock.now())
    assert replay.replay_all(OPERATOR) == Replayed(processed=1)
    assert (reasons(), len(messages())) == (["partly_understood"], 2)


def test_notes_are_bounded(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "MOST_NOTES", 3)
    deliver(*(attached(CLIP, mid=f"m{number}") for number in range(5)))
    post(b"not json")
    with transaction.write() as tx:
        dead_letters.purge(tx, clock.now())
    assert sorted(reasons()) == ["partly_understood"] * 3 + ["unreadable"]


@pytest.mark.parametrize("url", ["javascript:alert(4)", "data:text/html,x", "https://a@evil.example/", "ftp://x/", 7])
def test_only_web_urls_are_shown(app: Flask, account: Account, url: Any) -> None:
    deliver(attached({"type": "image", "payload": {"url": url}}, {"type": "fallback", "url": url}))
    with transaction.write() as tx:  # as an earlier release stored it
        stored = {"kind": "image", "url": str(url)}
        old = {"mid": "old", "mid_digest": digest("old"), "kind": "image", "attachments": [stored]}
        known = {"account_id": account.id, "conversation_id": 1, "ig_sender_id": LEA, "outgoing": False}
        tx.session.add(Message(**old, **known, sent_at=clock.now()))
    api, shown = an_api_client(app).get("/messaging/conversations/1/messages").text, thread(app)
    assert [each for each in (api, shown) if str(url) in each and url != 7] == []
    assert '"url":"' not in api  # null instead


def test_a_number_that_cannot_be_stored_affects_no_other_item(app: Flask, account: Account) -> None:
    for number, odd in enumerate(
        (b"1e400", b"9" * 5_000, b"NaN", b"[" * 40 + b"]" * 40, b"[" * 100_000 + b"]" * 100_000)
    ):
        events = (a_message_event(LEA, "odd", mid=f"odd{number}", odd="ODD"), a_message_event(mid=f"good{number}"))
        assert post(a_delivery(*events).replace(b'"ODD"', odd)) == receive.DeliveryResult(200, stored=2), odd[:9]
    assert post(a_delivery(a_message_event(mid="time", at_ms=123)).replace(b"123", b"1e400")).stored == 1
    assert len(messages()) == 11
    assert reasons() == []


def test_an_unreadable_body_is_kept_whole_and_can_be_replayed(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = a_delivery(*(a_message_event(LEA, "x" * 500) for _ in range(300)))
    assert post(whole[:-1]).status == 400
    letter = db.session.scalars(select(DeadLetter)).one()
    assert letter.raw == whole[:-1]
    assert replay.replay_one(OPERATOR, letter.id) == Replayed(0, 1)
    with transaction.write() as tx:  # as after a release that can read it
        tx.session.get_one(DeadLetter, letter.id).raw = whole
    assert replay.replay_one(OPERATOR, letter.id) == Replayed(1, 0)
    assert len(messages()) == 300


def test_many_bad_items_of_one_envelope_do_not_repeat_it(app: Flask, account: Account) -> None:
    big = "x" * 100_000
    entry = {"id": MAISON_LUNE, "note": big, "messaging": [{"sparkle": number} for number in range(300)]}
    body = json.dumps({"object": "instagram", "extra": big, "entry": [entry]}).encode()
    assert post(body).dead_letters == 300
    assert sum(len(raw) for raw in db.session.scalars(select(DeadLetter.raw))) < len(body)
    assert len(signed_in(app).get("/dead-letters").data) < 500_000


@pytest.mark.parametrize("timestamp", [True, "٣٣", "\uff11\uff17\uff17\uff14", {}, [1]])
def test_an_invalid_timestamp_is_ignored(account: Account, timestamp: Any) -> None:
    deliver(a_message_event() | {"timestamp": timestamp})
    assert messages()[0].sent_at.year == clock.now().year


def test_a_timestamp_with_a_fraction_of_zero_is_valid(account: Account) -> None:
    deliver(a_message_event() | {"timestamp": 1774000000000.0})
    assert messages()[0].sent_at.timestamp() == 1774000000


@pytest.mark.parametrize("flag", ["false", "no", 0, None, [], {}])
def test_only_a_true_flag_unsends(account: Account, flag: Any) -> None:
    deliver(a_message_event(LEA, "still here", mid="m"), a_message_event(LEA, "still here", mid="m", is_deleted=flag))
    assert [message.text for message in messages()] == ["still here"]


@pytest.mark.parametrize("number", [{}, {"num_edit": None}, {"num_edit": "abc"}, {"num_edit": 1.0}, {"num_edit": 0}])
@pytest.mark.parametrize("before_its_message", [False, True])
def test_an_edit_with_a_text_is_never_lost(account: Account, number: dict[str, Any], before_its_message: bool) -> None:
    message, edit = a_message_event(LEA, "old", mid="m"), {"message_edit": {"mid": "m", "text": "new"} | number}
    for event in (edit, message) if before_its_message else (message, edit):
        deliver(PARTIES | {"timestamp": 1790000000000} | event)
    assert [(each.text, each.edit_number is not None) for each in messages()] == [("new", True)]


def test_an_announcement_with_the_same_text_is_no_edit(app: Flask, account: Account) -> None:
    deliver(a_message_event(LEA, "same", mid="m"))
    deliver(PARTIES | {"message_edit": {"mid": "m", "text": "same", "num_edit": 0}})
    assert messages()[0].edit_number is None


@pytest.mark.parametrize("text", ["\u200b", "\u3164", "   ", "\u2800\ufe0f", "\u17b4 \u180b", "\U000e0100"])
def test_a_blank_message_says_that_it_is_empty(app: Flask, account: Account, text: str) -> None:
    deliver(a_message_event(LEA, text))
    ops = signed_in(app)
    for page in (part(ops, "/inbox/list"), part(ops, "/inbox/1/messages")):
        assert "Empty message" in page.text
    assert (
        an_api_client(app).get("/messaging/conversations").get_json()["data"][0]["lastMessagePreview"]
        == "Empty message"
    )


def test_a_row_shows_the_words_that_follow_many_invisible_characters(app: Flask, account: Account) -> None:
    deliver(a_message_event(LEA, "\u200b" * 200 + "Is it still there?"))
    assert "Is it still there?" in part(signed_in(app), "/inbox/list").text


def test_a_message_edited_to_nothing_says_that_it_is_empty(app: Flask, account: Account) -> None:
    deliver(a_message_event(LEA, "words", mid="m"))
    deliver(PARTIES | {"message_edit": {"mid": "m", "text": "", "num_edit": 1}})
    assert thread(app).count("Empty message") == 1


def test_a_shortened_text_ends_with_a_whole_character(app: Flask, account: Account) -> None:
    family = "👩‍👩‍👧‍👦"
    for length in (150, *range(153, 160)):
        deliver(a_message_event(LEA, "x" * length + family + " tail of a message", mid=f"m{length}"))
        preview = db.session.scalars(select(Conversation.last_message_preview)).one()
        assert (preview or "").rstrip("…").lstrip("x") in ("", family, f"{family} t")
        db.session.rollback()
    deliver(a_message_event(LEA, "y" * 1_998 + family + "z", mid="long"))
    deliver(a_message_event(LEA, "re", reply_to={"mid": "m150"}, mid="reply"))
    assert f"{'y' * 1_998}</p>" in thread(app)


def test_a_new_own_id_of_the_account_is_removed_from_the_contacts(app: Flask) -> None:
    account = an_account(own_ids=[])
    deliver(a_message_event(MAISON_LUNE_IGSID, "note to self"), a_message_event(LEA, "Bonjour"))
    assert len(db.session.scalars(select(Conversation)).all()) == 2
    deliver(an_echo_event(MAISON_LUNE_IGSID, "self test", is_self=True))
    db.session.expire_all()
    assert db.session.get_one(Account, account.id).own_ids == [MAISON_LUNE_IGSID]
    assert db.session.scalars(select(Conversation.ig_participant_id)).all() == [LEA]
    assert db.session.scalars(select(Identity.ig_participant_id)).all() == [LEA]
    assert [message.text for message in messages()] == ["Bonjour"]


def test_a_contact_who_writes_to_themselves_adds_no_own_id(account: Account) -> None:
    deliver(a_message_event(LEA, "Bonjour"))
    assert deliver(a_message_event(LEA, "odd", recipient=LEA)).dead_letters == 1
    assert (len(messages()), reasons()) == (1, ["misaddressed"])


INSTAGRAM_SECRET = "instagram-app-secret-of-a-test"


def test_the_instagram_app_secret_signs_deliveries(account: Account) -> None:
    body = a_delivery(a_message_event())
    signature = signature_of(body, INSTAGRAM_SECRET)
    assert receive.receive_delivery(body, signature).status == 401
    with settings.using(meta_instagram_app_secret=INSTAGRAM_SECRET):
        assert receive.receive_delivery(body, signature).status == 200


@pytest.fixture
def client(app: Flask, account: Account) -> FlaskClient:
    return app.test_client()


def test_a_trailing_slash_reaches_the_same_callback(client: FlaskClient) -> None:
    body = a_delivery(a_message_event())
    asked = f"hub.mode=subscribe&hub.challenge=7&hub.verify_token={settings.current().meta_verify_token}"
    assert client.get(f"/webhooks/instagram/?{asked}").text == "7"
    assert client.post("/webhooks/instagram/", data=body, headers=signed_headers(body)).status_code == 200
    assert client.post("/webhooks/instagram/deauthorize/").status_code == 403


@pytest.mark.parametrize("encoding", ["identity", "Identity", "", "identity, identity"])
def test_content_encoding_identity_is_accepted(client: FlaskClient, encoding: str) -> None:
    body = a_delivery(a_message_event())
    headers = signed_headers(body) | {"Content-Encoding": encoding}
    assert client.post("/webhooks/instagram", data=body, headers=headers).status_code == 200


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip"])
def test_the_signature_is_checked_before_the_encoding(client: FlaskClient, encoding: str) -> None:
    body = a_delivery(a_message_event())
    headers = {"Content-Encoding": encoding}
    assert client.post("/webhooks/instagram", data=body, headers=headers).status_code == 401
    assert reasons() == []
    assert client.post("/webhooks/instagram", data=body, headers=headers | signed_headers(body)).status_code == 415
    assert db.session.scalars(select(DeadLetter.raw)).one() == body
