"""The sandbox's pictures: valid PNGs with an expiry in their URLs."""

import re
import struct
import time
import urllib.request
import zlib

import pytest

from app.sandbox import media
from tests.factories import LEA
from tests.support.processes import Sandbox


@pytest.mark.parametrize(("kind", "size"), [("avatar", (96, 96)), ("photo", (480, 360))])
def test_a_picture_is_a_png_of_its_size(kind: str, size: tuple[int, int]) -> None:
    png = media.picture(kind, "1")
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", png[16:24]) == size
    begin = png.index(b"IDAT")
    pixels = zlib.decompress(png[begin + 4 : begin + 4 + struct.unpack(">I", png[begin - 4 : begin])[0]])
    assert len(pixels) == size[1] * (1 + 3 * size[0])


def test_different_names_look_different() -> None:
    assert media.picture("photo", "1") == media.picture("photo", "1") != media.picture("photo", "2")


def test_the_url_of_an_avatar_expires_in_a_few_days() -> None:
    found = re.search(r"oe=([0-9A-F]{8})$", media.avatar_url("http://127.0.0.1:1", LEA))
    assert found
    assert 0 < int(found[1], 16) - time.time() <= media.LIFE_SECONDS


def test_pictures_are_served(sandbox: Sandbox) -> None:
    with urllib.request.urlopen(media.photo_url(sandbox.url, 3)) as answer:
        assert answer.headers["Content-Type"] == "image/png"
        assert answer.read() == media.picture("photo", "3")
