"""Events about one message, and their delivery."""

from typing import Any

from sqlalchemy import select

from app.db.engine import db
from app.models.conversation import Message
from tests.factories import LEA, MAISON_LUNE, a_delivery, a_message_event
from tests.support.webhooks import receive_webhook

NOON_MS = 1773134400000
Event = dict[str, Any]


def about(name: str, content: Event, *, sender: str = LEA, minute: int = 0) -> Event:
    """Return an event of `messaging` with its content under `name`, `minute` minutes after noon."""
    parties = {"sender": {"id": sender}, "recipient": {"id": MAISON_LUNE}}
    return parties | {"timestamp": NOON_MS + minute * 60_000, name: content}


def message(mid: str = "m", text: str = "Bonjour", *, minute: int = 0, **more: Any) -> Event:
    """Return a message of Léa's."""
    return a_message_event(LEA, text, mid=mid, at_ms=NOON_MS + minute * 60_000, **more)


def echo(mid: str, text: str = "Avec plaisir", *, minute: int = 0) -> Event:
    """Return a message from the account to Léa."""
    at_ms = NOON_MS + minute * 60_000
    return a_message_event(MAISON_LUNE, text, recipient=LEA, mid=mid, at_ms=at_ms)


def unsend(mid: str = "m", *, minute: int = 9) -> Event:
    """Return the unsend of a message."""
    return about("message", {"mid": mid, "is_deleted": True}, minute=minute)


def edit(text: str, number: int = 1, mid: str = "m", *, minute: int = 5) -> Event:
    """Return the edit of a message's text."""
    return about("message_edit", {"mid": mid, "text": text, "num_edit": number}, minute=minute)


def react(emoji: str | None, mid: str = "m", *, sender: str = LEA, minute: int = 6) -> Event:
    """Return a reaction to a message; without an emoji, its removal."""
    content = {"mid": mid, "action": "react" if emoji else "unreact"} | ({"emoji": emoji} if emoji else {})
    return about("reaction", content, sender=sender, minute=minute)


def seen(mid: str, *, minute: int = 7) -> Event:
    """Return the seen event of a message."""
    return about("read", {"mid": mid}, minute=minute)


def deliver(*events: Event) -> None:
    """Store events as one signed delivery."""
    body = a_delivery(*events)
    assert receive_webhook(body).status == 200
    db.session.expire_all()


def the_message(mid: str = "m") -> Message:
    """Return the stored message with this message ID."""
    return db.session.scalars(select(Message).where(Message.mid == mid)).one()
