"""How often a password may be guessed: per name and address, per name, per address (reliability.md S20).

Counted in Redis for all processes; while Redis is away each process counts for itself, so that it never is open.
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
REMEMBERED = 10_000  # pairs, and addresses, that one process keeps in mind

_LIMITS = (FREE_FAILURES, LONGEST_SECONDS, NAME_TRIES, NAME_SECONDS, ADDRESS_TRIES, ADDRESS_SECONDS)
_COUNT = Path(__file__).with_suffix(".lua").read_text()
_FORGET = """
redis.call('DEL', KEYS[1])
for i = 2, 3 do if redis.call('EXISTS', KEYS[i]) == 1 then redis.call('DECR', KEYS[i]) end end
"""


def wait_seconds(email: str, address: str) -> int:
    """Count one try to sign in as `email` from `address`; returns 0 if it may be made, else how long to wait.

    Counting comes first, so that tries made at the same moment cannot pass together.
    """
    keys = _keys(email, address)
    try:
        seconds, for_address = redis_client.client().eval(_COUNT, len(keys), *keys, *_LIMITS)
    except RedisUnavailable:
        logger.warning("sign-ins are counted in this process alone: Redis is away")
        return _here.count(*keys)
    if for_address:
        _here.refuse(address, seconds)
    return int(seconds)


def refused_seconds(address: str) -> int:
    """Return how long nobody may try from `address` as far as this process knows, 0 if it knows of nothing.

    Asked first, without Redis: who guesses by the hundred must cost little.
    """
    return _here.refused_seconds(address)


def forget_attempt(email: str, address: str) -> None:
    """Take back what `wait_seconds` counted: the password was right."""
    keys = _keys(email, address)
    _here.forget(*keys)
    try:
        redis_client.client().eval(_FORGET, len(keys), *keys)
    except RedisUnavailable:
        logger.info("a right password is not noted: Redis is away")


def _keys(email: str, address: str) -> tuple[str, str, str]:
    # Hashed, because what is typed as a name may be anything, a password for instance.
    name = hashlib.blake2s(users.normalize_email(email).encode(), digest_size=12).hexdigest()
    return f"nametag:sign-in:{name}:{address}", f"nametag:sign-in:{name}", f"nametag:sign-in:from:{address}"


@dataclass(slots=True)
class _Count:
    tries: int = 0
    until: float = 0.0


def reset() -> None:
    """Forget what this process counted and refused."""
    global _here
    _here = InProcessThrottle()


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
        return _whole(left) if left > 0 else 0

    def count(self, pair: str, name: str, address: str) -> int:
        now = clock.monotonic()
        with self.lock:
            failures = self._at(pair)
            if failures.until > now:
                return _whole(failures.until - now)
            windows = (
                (self._window(name, now), NAME_TRIES, NAME_SECONDS),
                (self._window(address, now), ADDRESS_TRIES, ADDRESS_SECONDS),
            )
            for window, most, _ in windows:
                if window.tries >= most:
                    return _whole(window.until - now)
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


def _whole(seconds: float) -> int:
    return max(1, round(seconds))


_here = InProcessThrottle()
