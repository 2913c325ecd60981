"""Read attachments, reactions, replies and referrals from the JSON of a message row.

Meta's JSON is stored as received: any value may be missing or of another type, and is then left out.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from app import settings, text
from app.inbox import media
from app.instagram.events import EventKind
from app.instagram.ids import ig_id


class ReplyKind(StrEnum):
    """What a message answers."""

    MESSAGE = "message"
    STORY = "story"


class ReferralKind(StrEnum):
    """Where a contact came from."""

    AD = "ad"
    PRODUCT = "product"
    LINK = "link"


@dataclass(frozen=True, slots=True)
class MessageAttachment:
    """One attachment, or one card of a template; a URL is None where there is none that API clients may follow."""

    kind: EventKind
    url: str | None
    title: str | None
    subtitle: str | None
    image_url: str | None


@dataclass(frozen=True, slots=True)
class MessageReaction:
    """One sender's current reaction; `at` is aware UTC."""

    emoji: str
    ig_sender_id: str
    from_account: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class ReplyTarget:
    """The message (`mid`) or story (`story_id`, `url`) that a message answers."""

    kind: ReplyKind
    mid: str | None = None
    story_id: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class MessageReferral:
    """The ad, product or link that led a contact to the account; `ref` is the parameter the business chose."""

    kind: ReferralKind
    ref: str | None
    source: str | None
    ad_id: str | None
    ad_title: str | None
    photo_url: str | None
    video_url: str | None
    product_id: str | None


def attachments(stored: object) -> tuple[MessageAttachment, ...]:
    """Return the attachments of a message; those of unknown kinds are "unsupported"."""
    return tuple(
        MessageAttachment(
            kind=kind_of(each.get("kind")),
            url=_url(each.get("url")),
            title=_text(each.get("title")),
            subtitle=_text(each.get("subtitle")),
            image_url=_url(each.get("image_url")),
        )
        for each in _objects(stored)
    )


def kind_of(stored: object) -> EventKind:
    """Return the kind of a message or an attachment; UNSUPPORTED for any other value."""
    return EventKind(stored) if isinstance(stored, str) and stored in set(EventKind) else EventKind.UNSUPPORTED


def reactions(stored: Mapping[str, Any] | None, own_ids: Collection[str]) -> tuple[MessageReaction, ...]:
    """Return the current reactions to a message, oldest first; `own_ids` are the account's."""
    found = (
        MessageReaction(each["emoji"], sender, sender in own_ids, datetime.fromisoformat(each["at"]))
        for sender, each in (stored or {}).items()
        if each.get("emoji")
    )
    return tuple(sorted(found, key=lambda each: each.at))


def reply_to(context: Mapping[str, Any] | None) -> ReplyTarget | None:
    """Return the message or story that a message answers, or None."""
    reply = _object(context, "reply_to")
    if not reply:
        return None
    if story := _object(reply, "story"):
        return ReplyTarget(ReplyKind.STORY, story_id=ig_id(story.get("id")), url=_url(story.get("url")))
    return ReplyTarget(ReplyKind.MESSAGE, mid=_text(reply.get("mid")))


def referral(context: Mapping[str, Any] | None) -> MessageReferral | None:
    """Return the ad, product or link of a message or button tap, or None."""
    found = _object(context, "referral") or _object(_object(context, "postback"), "referral")
    if not found:
        return None
    ad, product = _object(found, "ads_context_data"), _object(found, "product")
    ad_id = ig_id(found.get("ad_id"))
    kind = ReferralKind.AD if ad or ad_id else ReferralKind.PRODUCT if product else ReferralKind.LINK
    source = _text(found.get("source"))
    return MessageReferral(
        kind=kind,
        ref=_text(found.get("ref")),
        source=_url(source) if source and ":" in source else source,
        ad_id=ad_id,
        ad_title=_text(ad.get("ad_title")),
        photo_url=_url(ad.get("photo_url")),
        video_url=_url(ad.get("video_url")),
        product_id=ig_id(product.get("id")),
    )


def _object(holder: Mapping[str, Any] | None, name: str) -> Mapping[str, Any]:
    found = (holder or {}).get(name)
    return found if isinstance(found, dict) else {}


def _objects(found: object) -> Iterator[Mapping[str, Any]]:
    return (each for each in found if isinstance(each, dict)) if isinstance(found, list) else iter(())


def _text(value: object) -> str | None:
    return text.clean_message(value).strip() or None if isinstance(value, str) else None


def _url(value: object) -> str | None:
    return media.web_url(value, settings.current().media_hosts) if isinstance(value, str) else None
