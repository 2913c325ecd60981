"""Parse conversations and messages of the Conversations API. One element that can't be read never costs the others.

https://developers.facebook.com/docs/messenger-platform/instagram/features/conversation
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from app.instagram import strict
from app.instagram.answers import ReadMessage, Skipped, Thread
from app.instagram.errors import GraphAPIError
from app.instagram.events import Attachment, EventKind

URL_CHARACTERS = 4_000
UNREADABLE = "It has no ID, or a field of another type than Meta documents"
_MEDIA = {"image_data": EventKind.IMAGE, "video_data": EventKind.VIDEO, "generic_template": EventKind.TEMPLATE}

Element = TypeVar("Element")


def conversations(body: Mapping[str, Any]) -> tuple[tuple[Thread, ...], tuple[Skipped, ...]]:
    """Return the conversations of a page, and what of it could not be read; raises GraphAPIError without a list."""
    skipped: list[Skipped] = []
    threads = _readable("conversation", strict.values(body, "data"), lambda item: _thread(item, skipped), None, skipped)
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
            readable.append(read(strict.obj(item)))
        except GraphAPIError:
            own_id = _id_if_any(item)
            skipped.append(Skipped(kind, own_id, ig_conversation_id or own_id, UNREADABLE))
    return readable


def _id_if_any(item: Any) -> str | None:
    try:
        return strict.identifier(strict.obj(item), "id")
    except GraphAPIError:
        return None


def _thread(item: Mapping[str, Any], skipped: list[Skipped]) -> Thread:
    ig_conversation_id = strict.identifier(item, "id")
    participants, messages = _listed(item, "participants"), _listed(item, "messages")
    people = _readable("participant", participants, _participant, ig_conversation_id, skipped)
    told = _readable("message", messages, _message, ig_conversation_id, skipped)
    return Thread(ig_conversation_id, tuple(people), tuple(message for message in told if message is not None))


def _listed(item: Mapping[str, Any], name: str) -> list[Any]:
    holder = strict.mapping(item, name)
    return strict.values(holder, "data") if holder else []


def _participant(item: Mapping[str, Any]) -> tuple[str, str | None]:
    return strict.required_id(item, "id"), strict.text(item, "username")


def _message(item: Mapping[str, Any]) -> ReadMessage | None:
    sender, to = strict.mapping(item, "from"), _listed(item, "to")
    if (not sender and not to) or len(to) > 1:
        return None  # only the twenty newest have details, and groups are not supported
    return ReadMessage(
        mid=strict.identifier(item, "id"),
        sent_at=strict.time(item, "created_time"),
        ig_sender_id=strict.required_id(sender, "id"),
        ig_recipient_id=strict.required_id(strict.obj(to[0] if to else None), "id"),
        text=strict.text(item, "message") or None,
        attachments=tuple(_attachments(item)),
        context=_context(item),
    )


def _attachments(item: Mapping[str, Any]) -> Iterator[Attachment]:
    attached, shares, story = _listed(item, "attachments"), _listed(item, "shares"), strict.mapping(item, "story")
    for each in map(strict.obj, attached):
        kind = next((kind for name, kind in _MEDIA.items() if name in each), None)
        media = strict.mapping(each, "image_data") or strict.mapping(each, "video_data")
        yield Attachment(kind or EventKind.FILE, _url(strict.text(media, "url") or strict.text(each, "file_url")))
    for each in map(strict.obj, shares):
        yield Attachment(EventKind.SHARE, _url(strict.text(each, "link")))
    if mention := strict.mapping(story, "mention"):
        yield Attachment(EventKind.STORY_MENTION, _url(strict.text(mention, "link")))
    elif story and "reply_to" not in story:
        yield Attachment(EventKind.STORY, _url(strict.text(story, "link")))


def _context(item: Mapping[str, Any]) -> dict[str, Any]:
    answered = strict.mapping(item, "reply_to")
    story = strict.mapping(strict.mapping(item, "story"), "reply_to")
    of_story = _present({"url": _url(strict.text(story, "link")), "id": _id_if_any(story)})
    return _present({"reply_to": _present({"mid": strict.text(answered, "mid"), "story": of_story})})


def _present(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


def _url(url: str | None) -> str | None:
    return url if url and len(url) <= URL_CHARACTERS else None
