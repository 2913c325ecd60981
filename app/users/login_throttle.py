"""Rate limits of sign-in attempts: per email and IP address, per email, per IP address.

Counted in Redis for all processes. While Redis is unavailable each process counts alone, so limits always apply.
"""

import hashlib
import logging
import threading
from dataclasses import dataclass, field
from pathlib import Path

from app import clock, redis_client
from app.redis_client import RedisUnavailable
from app.users import users

logger = logging.getLogger(__name__)

FREE_FAILURES = 5
LONGEST_SECONDS = 900
NAME_TRIES, NAME_SECONDS = 50, 3600
ADDRESS_TRIES, ADDRESS_SECONDS = 60, 60
REMEMBERED = 10_000  # counters, and refused IP addresses, per process

_LIMITS = (FREE_FAILURES, LONGEST_SECONDS, NAME_TRIES, NAME_SECONDS, ADDRESS_TRIES, ADDRESS_SECONDS)
_COUNT = Path(__file__).with_suffix(".lua").read_text()
_FORGET = """
redis.call('DEL', KEYS[1])
for i = 2, 3 do if redis.call('EXISTS', KEYS[i]) == 1 then redis.call('DECR', KEYS[i]) end end
"""


def wait_seconds(email: str, address: str) -> int:
    """Count one sign-in attempt with `email` from the IP address. Return 0 if it is allowed, else seconds to wait.

    The attempt is counted before it is made, so that simultaneous attempts cannot exceed the limit.
    """
    keys = _keys(email, address)
    try:
        seconds, for_address = redis_client.client().eval(_COUNT, len(keys), *keys, *_LIMITS)
    except RedisUnavailable:
        logger.warning("sign-in attempts counted per process: can't reach Redis")
        return _in_process.count(*keys)
    if for_address:
        _in_process.refuse(address, seconds)
    return int(seconds)


def refused_seconds(address: str) -> int:
    """Return for how many seconds this process refuses attempts from the IP address, 0 if it does not.

    Checked first, without Redis: many guesses must cost little.
    """
    return _in_process.refused_seconds(address)


def forget_attempt(email: str, address: str) -> None:
    """Undo the count of `wait_seconds` after a correct password."""
    keys = _keys(email, address)
    _in_process.forget(*keys)
    try:
        redis_client.client().eval(_FORGET, len(keys), *keys)
    except RedisUnavailable:
        logger.info("sign-in throttle not reset: can't reach Redis")


def _keys(email: str, address: str) -> tuple[str, str, str]:
    # Hashed: users also type other things than an email address, for example a password.
    name = hashlib.blake2s(users.normalize_email(email).encode(), digest_size=12).hexdigest()
    return f"nametag:sign-in:{name}:{address}", f"nametag:sign-in:{name}", f"nametag:sign-in:from:{address}"


@dataclass(slots=True)
class _Count:
    tries: int = 0
    until: float = 0.0


def reset() -> None:
    """Forget what this process counted and refused."""
    global _in_process
    _in_process = InProcessThrottle()


@dataclass(slots=True)
class InProcessThrottle:
    """What one process counts while Redis is unavailable, and the IP addresses it refuses without asking Redis."""

    counts: dict[str, _Count] = field(default_factory=dict)
    refused: dict[str, float] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def refuse(self, address: str, seconds: int) -> None:
        with self.lock:
            if len(self.refused) >= REMEMBERED:
                del self.refused[next(iter(self.refused))]
            self.refused[address] = clock.monotonic() + seconds

    def refused_seconds(self, address: str) -> int:
        left = self.refused.get(address, 0.0) - clock.monotonic()
        return _whole_seconds(left) if left > 0 else 0

    def count(self, pair: str, name: str, address: str) -> int:
        now = clock.monotonic()
        with self.lock:
            failures = self._at(pair)
            if failures.until > now:
                return _whole_seconds(failures.until - now)
            windows = (
                (self._window(name, now), NAME_TRIES, NAME_SECONDS),
                (self._window(address, now), ADDRESS_TRIES, ADDRESS_SECONDS),
            )
            for window, most, _ in windows:
                if window.tries >= most:
                    return _whole_seconds(window.until - now)
            failures.tries += 1
            if failures.tries >= FREE_FAILURES:
                failures.until = now + min(LONGEST_SECONDS, 2 ** (failures.tries - FREE_FAILURES))
            for window, _, seconds in windows:
                window.tries += 1
                window.until = window.until or now + seconds
        return 0

    def forget(self, pair: str, name: str, address: str) -> None:
        with self.lock:
            self.counts.pop(pair, None)
            for window in (self.counts.get(name), self.counts.get(address)):
                if window and window.tries:
                    window.tries -= 1

    def _window(self, key: str, now: float) -> _Count:
        window = self._at(key)
        if window.until and window.until <= now:
            window.tries, window.until = 0, 0.0
        return window

    def _at(self, key: str) -> _Count:
        if key not in self.counts and len(self.counts) >= REMEMBERED:
            del self.counts[next(iter(self.counts))]
        return self.counts.setdefault(key, _Count())


def _whole_seconds(seconds: float) -> int:
    return max(1, round(seconds))


_in_process = InProcessThrottle()
