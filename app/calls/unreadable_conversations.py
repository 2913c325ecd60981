"""Remember conversations that Meta could not return, so that later reads skip them with fewer calls.

Kept in Redis for a day; without it they are found again with smaller pages.
"""

import logging

from app import redis_client
from app.redis_client import RedisUnavailable

logger = logging.getLogger(__name__)

LIFE_SECONDS = 86_400


def remember(account_id: int, ig_conversation_id: str) -> None:
    """Remember an unreadable conversation; never raises."""
    try:
        with redis_client.client().pipeline() as pipeline:
            pipeline.sadd(_key(account_id), ig_conversation_id)
            pipeline.expire(_key(account_id), LIFE_SECONDS)
            pipeline.execute()
    except RedisUnavailable:
        logger.info("unreadable conversation not remembered: Redis is unavailable", extra={"account": account_id})


def get(account_id: int) -> frozenset[str]:
    """Return the IDs of an account's recently unreadable conversations."""
    try:
        kept = redis_client.client().smembers(_key(account_id))
    except RedisUnavailable:
        return frozenset()
    return frozenset(each.decode(errors="replace") for each in kept if isinstance(each, bytes))


def _key(account_id: int) -> str:
    return f"nametag:unreadable:{account_id}"
