"""Parse conversations and messages of the Conversations API. An unreadable element is skipped.

https://developers.facebook.com/docs/messenger-platform/instagram/features/conversation
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from app.instagram import json_fields
from app.instagram.errors import GraphAPIError
from app.instagram.events import Attachment, EventKind
from app.instagram.responses import ReadConversation, ReadMessage, Skipped
from app.text import URL_CHARACTERS

UNREADABLE = "It has no ID, or a field of another type than Meta documents"
_MEDIA = {"image_data": EventKind.IMAGE, "video_data": EventKind.VIDEO, "generic_template": EventKind.TEMPLATE}

Element = TypeVar("Element")


def parse_conversations(body: Mapping[str, Any]) -> tuple[tuple[ReadConversation, ...], tuple[Skipped, ...]]:
    """Return the conversations of a page and the elements that were skipped; raises GraphAPIError without a list."""
    skipped: list[Skipped] = []
    threads = _readable(
        "conversation", json_fields.required_list(body, "data"), lambda item: _thread(item, skipped), None, skipped
    )
    return tuple(threads), tuple(skipped)


def _readable(
    kind: str,
    found: list[Any],
    read: Callable[[Mapping[str, Any]], Element],
    ig_conversation_id: str | None,
    skipped: list[Skipped],
) -> list[Element]:
    readable = []
    for item in found:
        try:
            readable.append(read(json_fields.require_object(item)))
        except GraphAPIError:
            own_id = _id_if_any(item)
            skipped.append(Skipped(kind, own_id, ig_conversation_id or own_id, UNREADABLE))
    return readable


def _id_if_any(item: Any) -> str | None:
    try:
        return json_fields.required_identifier(json_fields.require_object(item), "id")
    except GraphAPIError:
        return None


def _thread(item: Mapping[str, Any], skipped: list[Skipped]) -> ReadConversation:
    ig_conversation_id = json_fields.required_identifier(item, "id")
    participants, messages = _listed(item, "participants"), _listed(item, "messages")
    parties = _readable("participant", participants, _participant, ig_conversation_id, skipped)
    parsed = _readable("message", messages, _message, ig_conversation_id, skipped)
    return ReadConversation(
        ig_conversation_id, tuple(parties), tuple(message for message in parsed if message is not None)
    )


def _listed(item: Mapping[str, Any], name: str) -> list[Any]:
    holder = json_fields.optional_object(item, name)
    return json_fields.required_list(holder, "data") if holder else []


def _participant(item: Mapping[str, Any]) -> tuple[str, str | None]:
    return json_fields.required_id(item, "id"), json_fields.optional_text(item, "username")


def _message(item: Mapping[str, Any]) -> ReadMessage | None:
    sender, to = json_fields.optional_object(item, "from"), _listed(item, "to")
    if (not sender and not to) or len(to) > 1:
        return None  # no details (only the 20 newest messages have them), or a group
    return ReadMessage(
        mid=json_fields.required_identifier(item, "id"),
        sent_at=json_fields.required_time(item, "created_time"),
        ig_sender_id=json_fields.required_id(sender, "id"),
        ig_recipient_id=json_fields.required_id(json_fields.require_object(to[0] if to else None), "id"),
        text=json_fields.optional_text(item, "message") or None,
        attachments=tuple(_attachments(item)),
        context=_context(item),
    )


def _attachments(item: Mapping[str, Any]) -> Iterator[Attachment]:
    attached, shares, story = (
        _listed(item, "attachments"),
        _listed(item, "shares"),
        json_fields.optional_object(item, "story"),
    )
    for each in map(json_fields.require_object, attached):
        kind = next((kind for name, kind in _MEDIA.items() if name in each), None)
        media = json_fields.optional_object(each, "image_data") or json_fields.optional_object(each, "video_data")
        yield Attachment(
            kind or EventKind.FILE,
            _url(json_fields.optional_text(media, "url") or json_fields.optional_text(each, "file_url")),
        )
    for each in map(json_fields.require_object, shares):
        yield Attachment(EventKind.SHARE, _url(json_fields.optional_text(each, "link")))
    if mention := json_fields.optional_object(story, "mention"):
        yield Attachment(EventKind.STORY_MENTION, _url(json_fields.optional_text(mention, "link")))
    elif story and "reply_to" not in story:
        yield Attachment(EventKind.STORY, _url(json_fields.optional_text(story, "link")))


def _context(item: Mapping[str, Any]) -> dict[str, Any]:
    replied_to = json_fields.optional_object(item, "reply_to")
    story = json_fields.optional_object(json_fields.optional_object(item, "story"), "reply_to")
    of_story = _present({"url": _url(json_fields.optional_text(story, "link")), "id": _id_if_any(story)})
    return _present({"reply_to": _present({"mid": json_fields.optional_text(replied_to, "mid"), "story": of_story})})


def _present(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


def _url(url: str | None) -> str | None:
    return url if url and len(url) <= URL_CHARACTERS else None
