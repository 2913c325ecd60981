"""Webhook items of every kind, as Meta sends them, built from messages of the sandbox."""

from collections.abc import Callable
from typing import Any

from app.sandbox import media
from app.sandbox.accounts import Account
from app.sandbox.world import Sent

Body = dict[str, Any]
PLAIN = frozenset({"text", "image", "echo"})
UPDATES = frozenset({"unsend", "edit", "edit_zero", "reaction", "unreaction", "read"})


def item(sent: Sent, account: Account, kind: str = "text") -> Body:
    """Return the webhook item of a message, or of an update of it if `kind` is one of UPDATES."""
    parties = {"sender": {"id": sent.from_id}, "recipient": {"id": sent.to_id}, "timestamp": sent.at_ms}
    if kind in PLAIN:
        return parties | {"message": _message(sent, account)}
    return parties | _BODIES[kind](sent)


def _message(sent: Sent, account: Account) -> Body:
    message: Body = {"mid": sent.mid}
    if sent.text is not None:
        message["text"] = sent.text
    if sent.photo:
        message["attachments"] = [{"type": "image", "payload": {"url": sent.photo}}]
    if sent.reply_to:
        message["reply_to"] = {"mid": sent.reply_to}
    if sent.from_id == account.id and sent.at_ms % 2:
        message["is_echo"] = True  # as with Meta, not always set
    return message


def _attachment(kind: str, **payload: str) -> Callable[[Sent], Body]:
    def body(sent: Sent) -> Body:
        attachment: Body = {"type": kind} | ({"payload": {"url": sent.photo} | payload} if sent.photo else {})
        return {"message": {"mid": sent.mid, "attachments": [attachment]}}

    return body


def _text_message(**more: Any) -> Callable[[Sent], Body]:
    return lambda sent: {"message": {"mid": sent.mid, "text": sent.text} | more}


def _story_reply(sent: Sent) -> Body:
    story = {"url": sent.photo or "", "id": "18050000000001002"}
    return {"message": {"mid": sent.mid, "text": sent.text, "reply_to": {"story": story}}}


_AD = {"ad_id": "120200000000000404", "source": "ADS", "type": "OPEN_THREAD", "ads_context_data": {"ad_title": "Linen"}}
_BODIES: dict[str, Callable[[Sent], Body]] = {
    "video": _attachment("video"),
    "audio": _attachment("audio"),
    "file": _attachment("file"),
    "share": _attachment("ig_post", ig_post_media_id="18139494541400001", title="Linen week"),
    "reel": _attachment("ig_reel", title="Linen week", reel_video_id="18000000000000001"),
    "story": _attachment("ig_story"),
    "story_mention": _attachment("story_mention"),
    "ephemeral": lambda sent: {"message": {"mid": sent.mid, "attachments": [{"type": "ephemeral"}]}},
    "hologram": _attachment("hologram"),
    "unsupported": lambda sent: {"message": {"mid": sent.mid, "is_unsupported": True}},
    "story_reply": _story_reply,
    "quick_reply": _text_message(quick_reply={"payload": "SIZE_38"}),
    "ad": _text_message(referral=_AD),
    "product": _text_message(referral={"product": {"id": "5200000000000505"}}),
    "postback": lambda sent: {"postback": {"mid": sent.mid, "title": sent.text, "payload": "ORDER_STATUS"}},
    "referral": lambda _: {"referral": {"ref": "summer-flyer", "source": "SHORTLINK", "type": "OPEN_THREAD"}},
    "optin": lambda _: {"optin": {"type": "notification_messages", "payload": "RESTOCK"}},
    "handover": lambda _: {"pass_thread_control": {"previous_owner_app_id": "7", "new_owner_app_id": "8"}},
    "unsend": lambda sent: {"message": {"mid": sent.mid, "is_deleted": True}},
    "edit": lambda sent: {"message_edit": {"mid": sent.mid, "text": sent.text, "num_edit": 1}},
    "edit_zero": lambda sent: {"message_edit": {"mid": sent.mid, "num_edit": 0}},
    "reaction": lambda sent: {"reaction": {"mid": sent.mid, "action": "react", "reaction": "love", "emoji": "❤️"}},
    "unreaction": lambda sent: {"reaction": {"mid": sent.mid, "action": "unreact"}},
    "read": lambda sent: {"read": {"mid": sent.mid}},
}
WITH_PHOTO = frozenset({"image", "video", "audio", "file", "share", "reel", "story", "story_mention", "story_reply"})
KINDS = PLAIN | _BODIES.keys()


def photo(base_url: str, kind: str, number: int) -> str | None:
    """Return the URL of the picture in a message of this kind, or None."""
    return media.photo_url(base_url, number) if kind in WITH_PHOTO else None
