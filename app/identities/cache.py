"""Names in Redis for 24 hours. Never raises: what cannot be read, or does not fit its key, counts as missing."""

import json
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from app import clock, redis_client
from app.identities.observations import ProfileObservation
from app.models.identity import Source
from app.redis_client import RedisUnavailable
from app.text import real_name

logger = logging.getLogger(__name__)

LIFE_SECONDS = 86_400
VALUE_BYTES = 10_000


def read(ig_account_id: str, ig_participant_ids: Sequence[str]) -> dict[str, ProfileObservation]:
    """Return the cached sightings of these participants, keyed by participant id."""
    if not ig_participant_ids:
        return {}
    try:
        values = redis_client.client().mget([_key(ig_account_id, each) for each in ig_participant_ids])
    except RedisUnavailable:
        logger.warning("names are read without the cache")
        return {}
    found = {each: _checked(value, ig_account_id, each) for each, value in zip(ig_participant_ids, values, strict=True)}
    return {each: sighting for each, sighting in found.items() if sighting is not None}


def seconds_left(ig_account_id: str, ig_participant_id: str) -> int | None:
    """Return how long the cache still knows this participant, 0 when it does not, None when Redis is away."""
    try:
        left = int(redis_client.client().ttl(_key(ig_account_id, ig_participant_id)))
    except RedisUnavailable:
        return None
    return min(max(0, left), LIFE_SECONDS)


def write(ig_account_id: str, sighting: ProfileObservation) -> None:
    """Keep a sighting for 24 hours; a failure is logged and passed over."""
    value = {
        "account": ig_account_id,
        "participant": sighting.ig_participant_id,
        "username": sighting.username,
        "name": sighting.name,
        "picture": sighting.picture_url,
        "at": sighting.at.isoformat(),
    }
    try:
        redis_client.client().set(_key(ig_account_id, sighting.ig_participant_id), json.dumps(value), ex=LIFE_SECONDS)
    except RedisUnavailable:
        logger.warning("a name was not cached")


def delete(ig_account_id: str, ig_participant_id: str) -> None:
    """Drop what is cached of one participant; a failure is logged and passed over."""
    try:
        redis_client.client().delete(_key(ig_account_id, ig_participant_id))
    except RedisUnavailable:
        logger.warning("a cached name was not dropped")


def _checked(value: bytes | str | None, ig_account_id: str, ig_participant_id: str) -> ProfileObservation | None:
    if value is None or len(value) > VALUE_BYTES:
        return None
    try:
        found: Any = json.loads(value)
        # The value repeats its key, so that a copy under another account's key is ignored (reliability.md S47).
        if (found["account"], found["participant"]) != (ig_account_id, ig_participant_id):
            return None
        at = datetime.fromisoformat(found["at"])
        picture = found.get("picture")
        sighting = ProfileObservation(
            ig_participant_id,
            username=real_name(found.get("username")),
            name=real_name(found.get("name")),
            picture_url=picture if isinstance(picture, str) else None,
            source=Source.REDIS,
            at=at,
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    if at.tzinfo is None or not timedelta() <= clock.now() - at <= timedelta(seconds=LIFE_SECONDS):
        return None  # a time that `write` cannot have kept, and newer than every lookup if it is in the future
    return sighting if sighting.has_name else None


def _key(ig_account_id: str, ig_participant_id: str) -> str:
    return f"instagram:profile:{ig_account_id}:{ig_participant_id}"
