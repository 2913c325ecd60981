"""Parse the attachments of a message. Unknown parts are reported as gaps and never hide the rest."""

from collections.abc import Iterable, Iterator
from dataclasses import fields, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from app.instagram.events import Attachment, EventKind
from app.text import clean_name, web_url

MOST = 100  # attachments and cards of one message
TITLE_CHARACTERS = 200
TEXT_CHARACTERS = 1_000
TYPE_CHARACTERS = 40
KINDS = {
    "image": EventKind.IMAGE,
    "video": EventKind.VIDEO,
    "audio": EventKind.AUDIO,
    "file": EventKind.FILE,
    "sticker": EventKind.STICKER,
    "fallback": EventKind.LINK,
    "link": EventKind.LINK,
    "location": EventKind.LOCATION,
    "share": EventKind.SHARE,
    "ig_post": EventKind.SHARE,
    "ig_reel": EventKind.REEL,
    "reel": EventKind.REEL,
    "ig_story": EventKind.STORY,
    "story": EventKind.STORY,
    "story_mention": EventKind.STORY_MENTION,
    "template": EventKind.TEMPLATE,
    "ephemeral": EventKind.EPHEMERAL,
    "unsupported_type": EventKind.UNSUPPORTED,  # Meta's type for content that it does not share
}
_URLS = ("url", "story_media_url", "item_url", "link")
_MEDIA_IDS = ("ig_post_media_id", "reel_video_id", "story_media_id", "sticker_id", "retailer_id", "id")
_SIGNATURE = ("signature", "oh", "oe")  # query parameters that differ each time Meta signs the same URL


def parse(found: object) -> tuple[tuple[Attachment, ...], tuple[str, ...]]:
    """Return the attachments in `message.attachments`, a list or a single object, and descriptions of their gaps.

    The same content sent as two types (`share` and `ig_post`, `image` and `sticker`) is one attachment.
    """
    gaps: list[str] = []
    parsed: list[Attachment] = []
    for value in found if isinstance(found, list) else [] if found is None else [found]:
        if isinstance(value, dict):
            parsed += _attachments(value, gaps)
        else:
            gaps.append("an attachment is not an object")
    distinct = _distinct(parsed)
    if len(distinct) > MOST:
        gaps.append(f"more than {MOST} attachments")
    return tuple(distinct[:MOST]), tuple(dict.fromkeys(gaps))


def _attachments(value: dict[str, Any], gaps: list[str]) -> Iterator[Attachment]:
    payload = value.get("payload")
    payload = payload if isinstance(payload, dict) else {}
    kind, type_ = _kind(value.get("type"), gaps)
    inner = [each for each in payload.values() if isinstance(each, dict)]  # a template's content is one level down
    cards = [card for holder in (payload, *inner) for card in _objects(holder.get("elements"))]
    if cards:
        for card in cards:
            action = card.get("default_action")
            yield _attachment(kind, type_, (card, *((action,) if isinstance(action, dict) else ())), gaps)
    else:
        yield _attachment(kind, type_, (payload, *inner, value), gaps)


def _kind(type_: object, gaps: list[str]) -> tuple[EventKind, str | None]:
    named = clean_name(type_, TYPE_CHARACTERS)
    kind = KINDS.get(named or "")
    if kind is None:
        gaps.append(f"attachment type {named} is unknown" if named else "an attachment has no type")
        return EventKind.UNSUPPORTED, named
    return kind, None


def _attachment(kind: EventKind, type_: str | None, holders: Iterable[dict[str, Any]], gaps: list[str]) -> Attachment:
    merged: dict[str, Any] = {}
    for holder in reversed(tuple(holders)):
        merged |= {name: value for name, value in holder.items() if value is not None}
    return Attachment(
        kind=kind,
        url=_url(next((merged[name] for name in _URLS if name in merged), None), gaps),
        title=clean_name(merged.get("title"), TITLE_CHARACTERS),
        subtitle=_coordinates(merged.get("coordinates"))
        or clean_name(merged.get("subtitle"), TEXT_CHARACTERS)
        or clean_name(merged.get("text"), TEXT_CHARACTERS),
        image_url=_url(merged.get("image_url"), gaps),
        media_id=next((known for name in _MEDIA_IDS if (known := _id(merged.get(name)))), None),
        buttons=tuple(filter(None, (clean_name(button.get("title")) for button in _objects(merged.get("buttons"))))),
        type=type_,
    )


def _objects(found: object) -> list[dict[str, Any]]:
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _url(url: object, gaps: list[str]) -> str | None:
    allowed = web_url(url)
    if url is not None and allowed is None:
        gaps.append("the URL of an attachment is not an http or https URL")
    return allowed


def _id(value: object) -> str | None:
    return clean_name(str(value)) if isinstance(value, str | int) and not isinstance(value, bool) else None


def _coordinates(value: object) -> str | None:
    if not isinstance(value, dict):
        return None
    pair = [each for name in ("lat", "long") if isinstance(each := value.get(name), int | float)]
    return f"{pair[0]}, {pair[1]}" if len(pair) == 2 else None


def _distinct(attachments: list[Attachment]) -> list[Attachment]:
    kept: dict[Any, Attachment] = {}
    by_url: dict[str, Any] = {}
    for each in attachments:
        unsigned = _unsigned(each.url) if each.url else None
        key: Any = each.media_id or unsigned or each
        twin = by_url.get(unsigned or "")
        if key not in kept and twin is not None and not (each.media_id and kept[twin].media_id):
            key = twin
        kept[key] = _merged(kept[key], each) if key in kept else each
        if unsigned:
            by_url.setdefault(unsigned, key)
    return list(kept.values())


def _merged(first: Attachment, again: Attachment) -> Attachment:
    missing = {each.name: getattr(again, each.name) for each in fields(first) if not getattr(first, each.name)}
    return replace(first, **missing)


def _unsigned(url: str) -> str:
    parts = urlsplit(url)
    query = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] not in _SIGNATURE]
    return urlunsplit(parts._replace(query=urlencode(query), fragment=""))
