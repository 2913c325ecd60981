"""Count events per key and window, in Redis for all processes, or in this process while Redis is unavailable."""

import threading
from dataclasses import dataclass, field

from app import clock, redis_client
from app.redis_client import RedisUnavailable

WINDOW_SECONDS = 60
REMEMBERED = 10_000  # windows per process while Redis is unavailable

_COUNT = """
local used = redis.call('INCR', KEYS[1])
local left = redis.call('TTL', KEYS[1])
if left < 0 or left > tonumber(ARGV[1]) then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
return {used, math.max(redis.call('TTL', KEYS[1]), 1)}
"""


@dataclass(frozen=True, slots=True)
class Rate:
    """The count of a caller in the present window."""

    limit: int
    used: int
    seconds_left: int

    @property
    def exceeded(self) -> bool:
        """Whether this call is over the limit."""
        return self.used > self.limit

    @property
    def remaining(self) -> int:
        """How many calls are left in this window."""
        return max(0, self.limit - self.used)


def count_call(key: str, limit: int, seconds: int = WINDOW_SECONDS) -> Rate:
    """Count one call under `key`, and return its count; `limit` calls per window of `seconds` are allowed."""
    try:
        used, left = redis_client.client().eval(_COUNT, 1, f"nametag:rate:{key}", seconds)
    except RedisUnavailable:
        used, left = _in_process.count(key, seconds)
    return Rate(limit, int(used), int(left))


def reset() -> None:
    """Forget what this process counted while Redis was unavailable."""
    _in_process.windows.clear()


@dataclass(slots=True)
class _InProcessRates:
    windows: dict[str, tuple[float, int]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, key: str, seconds: int) -> tuple[int, int]:
        now = clock.monotonic()
        with self.lock:
            until, used = self.windows.get(key, (0.0, 0))
            if until <= now:
                until, used = now + seconds, 0
                if key not in self.windows and len(self.windows) >= REMEMBERED:
                    del self.windows[next(iter(self.windows))]
            self.windows[key] = (until, used + 1)
        return used + 1, max(1, round(until - now))


_in_process = _InProcessRates()
