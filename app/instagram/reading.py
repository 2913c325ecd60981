"""What the Conversations API tells of conversations and messages (instagram-platform.md 8)."""

from collections.abc import Iterator, Mapping
from typing import Any

from app.instagram import strict
from app.instagram.answers import ReadMessage, Thread
from app.instagram.events import Attachment, Kind

URL_CHARACTERS = 4_000
_MEDIA = {"image_data": Kind.IMAGE, "video_data": Kind.VIDEO, "generic_template": Kind.TEMPLATE}


def thread(item: Mapping[str, Any]) -> Thread:
    """Return one conversation of a page; raises CallFailed for one that is not as documented."""
    participants, messages = strict.mapping(item, "participants"), strict.mapping(item, "messages")
    people = strict.items(participants, "data") if participants else []
    told = strict.items(messages, "data") if messages else []
    return Thread(
        ig_conversation_id=strict.required(item, "id"),
        updated_at=strict.time(item, "updated_time"),
        participants=tuple((strict.required(each, "id"), strict.text(each, "username")) for each in people),
        messages=tuple(message for each in told if (message := _message(each)) is not None),
    )


def _message(item: Mapping[str, Any]) -> ReadMessage | None:
    sender, recipients = strict.mapping(item, "from"), strict.mapping(item, "to")
    to = strict.items(recipients, "data") if recipients else []
    sent_at = strict.time(item, "created_time")
    if not sender or len(to) != 1 or sent_at is None:
        return None  # only the twenty newest have details, and a group is no conversation of ours
    return ReadMessage(
        mid=strict.required(item, "id"),
        sent_at=sent_at,
        ig_sender_id=strict.required(sender, "id"),
        ig_recipient_id=strict.required(to[0], "id"),
        text=strict.text(item, "message") or None,
        attachments=tuple(_attachments(item)),
        reply_to_mid=strict.text(strict.mapping(item, "reply_to"), "mid"),
    )


def _attachments(item: Mapping[str, Any]) -> Iterator[Attachment]:
    attached, shares = strict.mapping(item, "attachments"), strict.mapping(item, "shares")
    for each in strict.items(attached, "data") if attached else []:
        kind = next((kind for name, kind in _MEDIA.items() if name in each), None)
        media = strict.mapping(each, "image_data") or strict.mapping(each, "video_data")
        yield Attachment(kind or Kind.FILE, _url(strict.text(media, "url") or strict.text(each, "file_url")))
    for each in strict.items(shares, "data") if shares else []:
        yield Attachment(Kind.SHARE, _url(strict.text(each, "link")))
    if story := strict.mapping(item, "story"):
        yield Attachment(Kind.STORY, _url(next((each for each in story.values() if isinstance(each, str)), None)))


def _url(url: str | None) -> str | None:
    return url if url and len(url) <= URL_CHARACTERS else None
