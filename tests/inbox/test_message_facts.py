"""Attachments, reactions, replies and referrals, read from stored JSON that may hold anything."""

from typing import Any

import pytest

from app import settings
from app.inbox import message_facts
from app.inbox.message_facts import MessageAttachment, ReferralKind, ReplyKind, ReplyTarget
from app.instagram.events import EventKind


def test_an_attachment_keeps_what_it_knows_and_leaves_out_the_rest() -> None:
    stored = [
        {"kind": "image"},
        {"kind": "hologram", "url": 7, "title": {"a": 1}, "more": "x"},
        {"kind": ["image"]},
        "not an object",
        {
            "kind": "template",
            "title": "Linen",
            "subtitle": "Until Sunday",
            "url": "https://shop.example/linen",
            "image_url": "javascript:alert(1)",
        },
    ]
    assert message_facts.attachments(stored) == (
        MessageAttachment(EventKind.IMAGE, None, None, None, None),
        MessageAttachment(EventKind.UNSUPPORTED, None, None, None, None),
        MessageAttachment(EventKind.UNSUPPORTED, None, None, None, None),
        MessageAttachment(EventKind.TEMPLATE, "https://shop.example/linen", "Linen", "Until Sunday", None),
    )
    assert message_facts.attachments(None) == message_facts.attachments({}) == ()


def test_media_of_an_allowed_url_may_be_followed() -> None:
    stored = [{"kind": "image", "url": "http://127.0.0.1:5061/a.png"}]
    assert message_facts.attachments(stored)[0].url is None
    with settings.using(media_hosts=("127.0.0.1:5061",)):
        assert message_facts.attachments(stored)[0].url == "http://127.0.0.1:5061/a.png"


def test_reactions_come_in_the_order_they_were_sent() -> None:
    stored = {
        "2": {"at": "2026-11-20T12:00:02+00:00", "emoji": "👍"},
        "1": {"at": "2026-11-20T12:00:01+00:00", "emoji": "❤️"},
        "3": {"at": "2026-11-20T12:00:03+00:00", "emoji": None},
    }
    found = message_facts.reactions(stored, {"2"})
    assert [(each.emoji, each.from_account) for each in found] == [("❤️", False), ("👍", True)]
    assert message_facts.reactions(None, {"2"}) == ()


@pytest.mark.parametrize(
    ("context", "reply"),
    [
        (None, None),
        ({"reply_to": "m"}, None),
        ({"reply_to": {"mid": "m_1"}}, ReplyTarget(ReplyKind.MESSAGE, mid="m_1")),
        ({"reply_to": {"mid": 1, "is_self_reply": True}}, ReplyTarget(ReplyKind.MESSAGE)),
        (
            {"reply_to": {"story": {"id": 18050000000001002}}},
            ReplyTarget(ReplyKind.STORY, story_id="18050000000001002"),
        ),
        (
            {"reply_to": {"story": {"id": "s", "url": "ftp://shop.example/"}}},
            ReplyTarget(ReplyKind.STORY, story_id="s"),
        ),
    ],
)
def test_a_reply_names_what_it_answers(context: dict[str, Any] | None, reply: ReplyTarget | None) -> None:
    assert message_facts.reply_to(context) == reply


@pytest.mark.parametrize(
    ("context", "kind", "source"),
    [
        ({"referral": {"ad_id": 120200000000000404, "source": "ADS"}}, ReferralKind.AD, "ADS"),
        ({"referral": {"ads_context_data": {"ad_title": "Linen"}}}, ReferralKind.AD, None),
        ({"referral": {"product": {"id": "5"}}}, ReferralKind.PRODUCT, None),
        ({"referral": {"ref": "flyer", "source": "javascript:alert(1)"}}, ReferralKind.LINK, None),
        (
            {"postback": {"referral": {"ref": "flyer", "source": "https://ig.me/m/x"}}},
            ReferralKind.LINK,
            "https://ig.me/m/x",
        ),
    ],
)
def test_a_referral_says_what_led_the_contact_here(
    context: dict[str, Any], kind: ReferralKind, source: str | None
) -> None:
    found = message_facts.referral(context)
    assert found is not None
    assert (found.kind, found.source) == (kind, source)


@pytest.mark.parametrize("context", [None, {}, {"referral": "x"}, {"postback": {"referral": []}}, {"postback": []}])
def test_a_message_without_a_referral_has_none(context: dict[str, Any] | None) -> None:
    assert message_facts.referral(context) is None
