"""Pictures of contacts: fetched once, made small, refused if they are not pictures, deleted with the contact."""

import io
import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sqlalchemy import func, select

from app import clock, settings
from app.db import transaction
from app.db.engine import db
from app.erasure import contacts
from app.errors import NotFound
from app.identities import avatars, observations, picture_fetch
from app.identities.observations import ProfileObservation
from app.models.account import Account
from app.models.conversation import Conversation
from app.models.identity import Source, StoredAvatar
from app.viewer import OPERATOR, Role, Viewer
from tests.factories import LEA, MAISON_LUNE, RUI, a_sandbox_account, people_wrote
from tests.support.frozen_clock import FrozenClock
from tests.support.processes import Sandbox

ELSEWHERE = Viewer(user_id=2, name="Oskar", role=Role.AGENT, account_ids=frozenset({999}))


@pytest.fixture
def account(meta: Sandbox) -> Account:
    account = a_sandbox_account()
    people_wrote(LEA)
    return account


def pictured(account: Account, url: str, who: str = LEA) -> None:
    with transaction.write() as tx:
        observations.record(
            tx, account.id, ProfileObservation(who, "lea.moreau", None, url, Source.PROFILE, clock.now())
        )


def url_of(meta: Sandbox, oe: str = "7FFFFFFF", who: str = LEA) -> str:
    return f"{meta.url}/media/avatar/{who}.png?oe={oe}"


def stored() -> list[StoredAvatar]:
    db.session.rollback()
    return list(db.session.scalars(select(StoredAvatar)))


def fetched(account: Account, meta: Sandbox) -> int:
    with settings.using(media_hosts=(meta.url.removeprefix("http://"),)):
        return picture_fetch.fetch_contact_pictures(account.id)


def a_png(width: int, height: int) -> bytes:
    """Return a PNG of one bit per pixel that claims this size."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = zlib.compress(b"\x00" * ((width // 8 + 2) * height), 9)
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_a_picture_is_fetched_made_small_and_found_by_its_version(account: Account, meta: Sandbox) -> None:
    pictured(account, url_of(meta))
    assert avatars.accounts_with_pending() == [account.id]
    assert fetched(account, meta) == 1
    assert avatars.accounts_with_pending() == []
    found = avatars.get_picture(OPERATOR, MAISON_LUNE, LEA)
    with Image.open(io.BytesIO(found.content)) as picture:
        assert (picture.format, picture.size, picture.info.get("exif")) == ("WEBP", (96, 96), None)
    address = avatars.picture_url(MAISON_LUNE, LEA, found.version)
    assert address == f"/avatars/{MAISON_LUNE}/{LEA}?v={found.version}"


def test_a_newer_answer_brings_a_newer_picture(account: Account, meta: Sandbox, frozen_clock: FrozenClock) -> None:
    pictured(account, url_of(meta))
    fetched(account, meta)
    before = avatars.get_picture(OPERATOR, MAISON_LUNE, LEA).version
    frozen_clock.forward(hours=1)
    pictured(account, url_of(meta, who=RUI))
    assert fetched(account, meta) == 1
    assert avatars.get_picture(OPERATOR, MAISON_LUNE, LEA).version != before


def test_a_failure_is_remembered_for_a_day(account: Account, meta: Sandbox, frozen_clock: FrozenClock) -> None:
    pictured(account, "https://evil.example/a.jpg")
    assert fetched(account, meta) == 0
    frozen_clock.at += timedelta(hours=23)
    assert avatars.accounts_with_pending() == []
    frozen_clock.at += timedelta(hours=2)
    assert avatars.accounts_with_pending() == [account.id]


def test_a_picture_that_kills_its_worker_is_not_tried_again_at_once(
    account: Account, meta: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(_content: bytes) -> bytes:
        raise SystemExit

    monkeypatch.setattr(picture_fetch, "shrink", die)
    pictured(account, url_of(meta))
    with pytest.raises(SystemExit):
        fetched(account, meta)
    assert avatars.accounts_with_pending() == []


def test_an_expired_picture_url_is_not_requested(account: Account, meta: Sandbox) -> None:
    pictured(account, url_of(meta, oe="60000000"))
    meta.request("DELETE", "calls")
    assert fetched(account, meta) == 0
    assert stored()[0].content is None


def test_a_picture_that_cannot_be_fetched_again_stays(
    account: Account, meta: Sandbox, frozen_clock: FrozenClock
) -> None:
    pictured(account, url_of(meta))
    fetched(account, meta)
    frozen_clock.forward(hours=1)
    pictured(account, "https://evil.example/a.jpg")
    assert fetched(account, meta) == 0
    assert stored()[0].content is not None


def test_who_is_forgotten_has_no_picture(account: Account, meta: Sandbox) -> None:
    pictured(account, url_of(meta))
    fetched(account, meta)
    contacts.delete_contact(OPERATOR, db.session.scalars(select(Conversation.id)).one())
    assert db.session.execute(select(func.count()).select_from(StoredAvatar)).scalar_one() == 0


def test_who_may_not_see_the_account_sees_no_face(account: Account, meta: Sandbox) -> None:
    pictured(account, url_of(meta))
    fetched(account, meta)
    for viewer, who in ((ELSEWHERE, LEA), (OPERATOR, RUI)):
        with pytest.raises(NotFound):
            avatars.get_picture(viewer, MAISON_LUNE, who)


def encoded(kind: str, mode: str, side: int, **options: Any) -> bytes:
    written = io.BytesIO()
    Image.effect_noise((8, 8), 90).resize((side, side)).convert(mode).save(written, kind, **options)
    return written.getvalue()


def a_gif(frames: int) -> bytes:
    frame = b"\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00"
    return b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff" + frame * frames + b";"


CLEAN: dict[str, Callable[[], bytes]] = {
    "tall.png": lambda: encoded("PNG", "L", 200),
    "huge.png": lambda: encoded("PNG", "RGB", 4_096, compress_level=1),
    "huge-1-bit.png": lambda: a_png(4_096, 4_096),
    "huge.jpg": lambda: encoded("JPEG", "RGB", 4_096, quality=30),
    "progressive.jpg": lambda: encoded("JPEG", "RGB", 2_048, quality=30, progressive=True),
    "large.webp": lambda: encoded("WEBP", "RGB", 1_024),
}
BOMBS: dict[str, Callable[[], bytes]] = {
    "empty.jpg": lambda: b"",
    "drawing.jpg": lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "page.jpg": lambda: b"<!doctype html><html>",
    "frames.gif": lambda: a_gif(10_000),
    "frames.jpg": lambda: a_gif(10_000),
    "half.png": lambda: encoded("PNG", "RGB", 200)[:400],
    "9000.png": lambda: a_png(9_000, 9_000),
    "20000.png": lambda: a_png(20_000, 20_000),
    "wide.png": lambda: a_png(65_535, 1),
    "16-bit-colour.tiff": lambda: encoded("TIFF", "RGB", 64),
}

# In a process of its own, whose memory nobody else has made large before.
ZOO_KEEPER = """
import json, pathlib, resource, sys, time
from app.identities import picture_fetch
from app.instagram.image_fetch import NoImage

def most(who):
    return resource.getrusage(who).ru_maxrss // 1024

before = most(resource.RUSAGE_SELF)
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    began = time.monotonic()
    try:
        size = len(picture_fetch.shrink(path.read_bytes()))
    except NoImage:
        size = None
    grown = most(resource.RUSAGE_SELF) + most(resource.RUSAGE_CHILDREN) - 2 * before
    print(json.dumps([path.name, size, time.monotonic() - began, grown]))
"""


def test_a_zoo_of_pictures_costs_little_memory_and_time(tmp_path: Path) -> None:
    for name, made in (CLEAN | BOMBS).items():
        (tmp_path / name).write_bytes(made())
    told = subprocess.run(
        [sys.executable, "-c", ZOO_KEEPER, str(tmp_path)], capture_output=True, text=True, check=True, timeout=50
    ).stdout
    met = {name: (size, seconds, grown) for name, size, seconds, grown in map(json.loads, told.splitlines())}
    assert {name for name, (size, _, _) in met.items() if size is not None} == set(CLEAN)
    assert all((size or 0) <= picture_fetch.MOST_BYTES and seconds <= 10 for size, seconds, _ in met.values())
    assert max(grown for _, _, grown in met.values()) < 150  # MiB, of worker and child together


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_picture_of_any_shape_becomes_square_and_loses_its_metadata(kind: str) -> None:
    told = Image.Exif()
    told[0x010E] = "taken at home"
    written = io.BytesIO()
    Image.new("RGB", (10, 400), "navy").save(written, kind, exif=told)
    assert b"taken at home" in written.getvalue()
    content = picture_fetch.shrink(written.getvalue())
    with Image.open(io.BytesIO(content)) as small:
        assert (small.size, small.format) == ((96, 96), "WEBP")
    assert b"taken at home" not in content
