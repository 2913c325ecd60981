"""Pictures: small PNGs generated from an ID, for avatars and photos."""

import hashlib
import struct
import time
import zlib
from functools import lru_cache

LIFE_SECONDS = 4 * 86_400  # as at Meta, `oe` of the URL is the expiry in hexadecimal


def avatar_url(base_url: str, ig_id: str) -> str:
    """Return the URL of a contact's picture."""
    return f"{base_url}/media/avatar/{ig_id}.png?oe={int(time.time()) + LIFE_SECONDS:08X}"


def photo_url(base_url: str, number: int) -> str:
    """Return the URL of a photo for messages."""
    return f"{base_url}/media/photo/{number}.png"


@lru_cache(maxsize=512)
def picture(kind: str, name: str) -> bytes:
    """Return the PNG of this name: a landscape for photos, a silhouette for avatars."""
    width, height = (480, 360) if kind == "photo" else (96, 96)
    seed = hashlib.blake2s(f"{kind}/{name}".encode()).digest()
    colors = [tuple(90 + value % 150 for value in seed[start : start + 3]) for start in (0, 3, 6)]
    rows = [_row(kind, y, width, height, colors) for y in range(height)]
    return _png(width, height, rows)


def _row(kind: str, y: int, width: int, height: int, colors: list[tuple[int, ...]]) -> bytes:
    top, middle, low = colors
    if kind == "photo":
        share = y / height
        ground = low if share > 0.7 else tuple(int(a + (b - a) * share) for a, b in zip(top, middle, strict=True))
        row = bytearray(bytes(ground) * width)
        half = _chord(y - height * 0.45, height * 0.16)
        _paint(row, width // 2 - half, width // 2 + half, middle if share > 0.7 else (250, 240, 220))
        return bytes(row)
    row = bytearray(bytes(top) * width)
    for center, radius in ((height * 0.4, height * 0.2), (height * 1.05, height * 0.38)):
        half = _chord(y - center, radius)
        _paint(row, width // 2 - half, width // 2 + half, middle if radius < height * 0.3 else low)
    return bytes(row)


def _chord(distance: float, radius: float) -> int:
    return int((radius**2 - distance**2) ** 0.5) if abs(distance) < radius else 0


def _paint(row: bytearray, begin: int, end: int, color: tuple[int, ...]) -> None:
    if end > begin:
        row[begin * 3 : end * 3] = bytes(color) * (end - begin)


def _png(width: int, height: int, rows: list[bytes]) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\x00" + row for row in rows), 6)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
