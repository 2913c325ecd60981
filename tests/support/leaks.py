"""Find words that must not be stored: in Redis, also inside compressed tasks, and in files."""

import base64
import binascii
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from redis import Redis


def keys_with(redis: Redis, *words: str) -> set[str]:
    """Return the keys whose name or value contains one of the words; compressed values are unpacked first."""
    wanted = [word.encode() for word in words]
    found = set()
    for key in redis.scan_iter("*"):
        name = bytes(key) if isinstance(key, bytes) else str(key).encode()
        if any(word in each for each in (name, *_values(redis, name)) for word in wanted):
            found.add(name.decode(errors="replace"))
    return found


def files_with(folder: Path, *words: str) -> set[str]:
    """Return the files under a folder that contain one of the words, logs and databases included."""
    wanted = [word.encode() for word in words]
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {path.relative_to(folder).as_posix() for path, held in files.items() if any(word in held for word in wanted)}


def _values(redis: Redis, key: bytes) -> Iterator[bytes]:
    client: Any = redis
    read: dict[bytes, Any] = {
        b"string": lambda: [client.get(key)],
        b"hash": lambda: [cell for pair in client.hgetall(key).items() for cell in pair],
        b"list": lambda: client.lrange(key, 0, -1),
        b"set": lambda: client.smembers(key),
        b"zset": lambda: client.zrange(key, 0, -1),
        b"stream": lambda: [cell for _, fields in client.xrange(key) for pair in fields.items() for cell in pair],
    }
    for value in read[client.type(key)]():
        held = value if isinstance(value, bytes) else str(value).encode()
        yield held
        yield from _unpacked(held)
        with suppress(binascii.Error):
            yield from _unpacked(base64.b64decode(held, validate=True))


def _unpacked(held: bytes) -> Iterator[bytes]:
    with suppress(zlib.error):
        yield zlib.decompress(held)
