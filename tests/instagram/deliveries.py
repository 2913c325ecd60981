"""Parsed webhook deliveries."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.instagram import webhook
from app.instagram.events import MessageSent
from app.instagram.webhook import WebhookItem
from tests.factories import a_delivery

SAMPLES = Path(__file__).parents[1] / "samples"
NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def parsed(*events: dict[str, Any]) -> list[WebhookItem]:
    """Return the items of a delivery with these events."""
    return webhook.parse(a_delivery(*events), received_at=NOW)


def message(item: WebhookItem) -> MessageSent:
    """Return the event of an item that is a message."""
    assert isinstance(item.event, MessageSent)
    return item.event
