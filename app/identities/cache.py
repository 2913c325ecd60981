"""Identity cache in Redis (24 h). Never raises: unreadable or mismatched entries count as a cache miss."""

import json
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from app import clock, counters, redis_client
from app.identities.observations import ProfileObservation
from app.models.identity import Source
from app.redis_client import RedisUnavailable
from app.strict_json import load_json
from app.text import real_name, storable

logger = logging.getLogger(__name__)

LIFE_SECONDS = 86_400
VALUE_BYTES = 10_000


def read(ig_account_id: str, ig_participant_ids: Sequence[str]) -> dict[str, ProfileObservation]:
    """Return the cached observations of these contacts, keyed by contact ID."""
    if not ig_participant_ids:
        return {}
    try:
        values = redis_client.client().mget([_key(ig_account_id, each) for each in ig_participant_ids])
    except RedisUnavailable:
        logger.warning("identity cache unavailable: can't reach Redis")
        return {}
    found = {each: _checked(value, ig_account_id, each) for each, value in zip(ig_participant_ids, values, strict=True)}
    hits = {each: observation for each, observation in found.items() if observation is not None}
    counters.CACHE.add("hit", number=len(hits))
    counters.CACHE.add("miss", number=len(found) - len(hits))
    return hits


def seconds_left(ig_account_id: str, ig_participant_id: str) -> int | None:
    """Return for how many more seconds a contact is cached: 0 after a cache miss, None while Redis is unavailable."""
    try:
        left = int(redis_client.client().ttl(_key(ig_account_id, ig_participant_id)))
    except RedisUnavailable:
        return None
    return min(max(0, left), LIFE_SECONDS)


def write(ig_account_id: str, observation: ProfileObservation) -> None:
    """Cache an observation for 24 hours. A failure is only logged."""
    value = {
        "account": ig_account_id,
        "participant": observation.ig_participant_id,
        "username": observation.username,
        "name": observation.name,
        "picture": observation.picture_url,
        "at": observation.at.isoformat(),
    }
    try:
        key = _key(ig_account_id, observation.ig_participant_id)
        redis_client.client().set(key, json.dumps(value), ex=LIFE_SECONDS)
    except RedisUnavailable:
        logger.warning("identity not cached: can't reach Redis")


def delete(ig_account_id: str, ig_participant_id: str) -> bool:
    """Delete the cached identity of a contact. Return whether Redis did so; a failure is only logged."""
    try:
        redis_client.client().delete(_key(ig_account_id, ig_participant_id))
    except RedisUnavailable:
        logger.warning("cached identity not deleted: can't reach Redis")
        return False
    return True


def _checked(value: bytes | str | None, ig_account_id: str, ig_participant_id: str) -> ProfileObservation | None:
    if value is None or len(value) > VALUE_BYTES:
        return None
    try:
        found: Any = load_json(value)
        # The value repeats its key, so that a copy under another account's key is ignored.
        if (found["account"], found["participant"]) != (ig_account_id, ig_participant_id):
            return None
        at = datetime.fromisoformat(found["at"])
        picture = found.get("picture")
        observation = ProfileObservation(
            ig_participant_id,
            username=real_name(found.get("username")),
            name=real_name(found.get("name")),
            picture_url=storable(picture) if isinstance(picture, str) else None,
            source=Source.REDIS,
            at=at,
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    if at.tzinfo is None or not timedelta() <= clock.now() - at <= timedelta(seconds=LIFE_SECONDS):
        return None  # `write` stores no such time; one in the future would be newer than every lookup
    return observation if observation.has_name else None


def _key(ig_account_id: str, ig_participant_id: str) -> str:
    return f"instagram:profile:{ig_account_id}:{ig_participant_id}"
