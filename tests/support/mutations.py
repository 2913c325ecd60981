"""Mutated webhook deliveries."""

import json
import random
from pathlib import Path
from typing import Any

from tests.factories import CAMILLE, a_delivery, a_message_event

SAMPLES = [path.read_bytes() for path in (Path(__file__).parents[1] / "samples").glob("webhook-*.json")]
STRANGE: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1.5, 10**40, "", "\x00", "\ud800", "x" * 5_000, "9" * 400, [], {}, [[]], {"id": None}),
    *({"id": {"id": "1"}}, ["m"] * 50, "<script>", "' OR 1=1 --", "2026-11-20", {"": ""}, {"mid": 7}),
)


def bytes_mutated(body: bytes, chance: random.Random) -> bytes:
    """Return a body with bytes changed, cut, doubled or inserted."""
    mutated = bytearray(body)
    for _ in range(chance.randrange(1, 6)):
        place = chance.randrange(len(mutated) + 1)
        what = chance.randrange(5)
        if what == 0:
            mutated[place : place + 1] = bytes([chance.randrange(256)])
        elif what == 1:
            del mutated[place : place + chance.randrange(40)]
        elif what == 2:
            mutated[place:place] = chance.choice(
                (b"\x00", b"\xff\xfe", b"[" * 200, b"{" * 40, b"\\u0000", b"1e999", b"NaN")
            )
        elif what == 3:
            mutated[place:place] = mutated[place : place + 60]
        else:
            mutated = mutated[:place] or bytearray(b"{")
    return bytes(mutated)


def value_mutated(value: Any, chance: random.Random) -> Any:
    """Return a JSON value with one part changed to another type, removed, or doubled."""
    if chance.random() < 0.25 or not isinstance(value, dict | list) or not value:
        return chance.choice(STRANGE)
    changed = value.copy()
    key = chance.choice(list(changed)) if isinstance(changed, dict) else chance.randrange(len(changed))
    if chance.random() < 0.15:
        del changed[key]
    else:
        changed[key] = value_mutated(changed[key], chance)
    return changed


def with_valid_item(body: bytes, mid: str, chance: random.Random) -> bytes | None:
    """Return a mutated delivery that also carries a valid message in an entry of its own, or None."""
    try:
        sample = json.loads(body)
    except ValueError:
        return None
    entries = sample.get("entry") if isinstance(sample, dict) else None
    if not isinstance(entries, list):
        return None
    mutated = [value_mutated(entry, chance) for entry in entries]
    valid = json.loads(a_delivery(a_message_event(CAMILLE, "voisine", mid=mid)))["entry"]
    return json.dumps(sample | {"entry": [*mutated, *valid]}).encode()
