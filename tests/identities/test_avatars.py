"""People's pictures: fetched once, made small, refused where they are none, gone with the person."""

import io
import struct
import zlib
from datetime import timedelta

import pytest
from PIL import Image
from sqlalchemy import func, select

from app import clock, settings
from app.db import transaction
from app.db.engine import db
from app.errors import NotFound
from app.identities import avatars, sighting
from app.identities.sighting import Sighting
from app.ingest import forget
from app.instagram.pictures import NoPicture
from app.models.identity import Source, StoredAvatar
from app.models.inbox import Account, Conversation
from app.viewer import OPERATOR, Role, Viewer
from tests.bed.hands import Hands
from tests.bed.processes import Sandbox
from tests.cast import LEA, MAISON_LUNE, RUI, a_sandbox_account, people_wrote

ELSEWHERE = Viewer(user_id=2, name="Oskar", role=Role.AGENT, account_ids=frozenset({999}))


@pytest.fixture
def account(meta: Sandbox) -> Account:
    account = a_sandbox_account()
    people_wrote(LEA)
    return account


def pictured(account: Account, url: str, who: str = LEA) -> None:
    with transaction.write() as tx:
        sighting.record(tx, account.id, Sighting(who, "lea.moreau", None, url, Source.PROFILE, clock.now()))


def url_of(meta: Sandbox, oe: str = "7FFFFFFF", who: str = LEA) -> str:
    return f"{meta.url}/media/avatar/{who}.png?oe={oe}"


def stored() -> list[StoredAvatar]:
    db.session.rollback()
    return list(db.session.scalars(select(StoredAvatar)))


def fetched(account: Account, meta: Sandbox) -> int:
    with settings.using(media_hosts=(meta.url.removeprefix("http://"),)):
        return avatars.fetch(account.id)


def a_png(width: int, height: int) -> bytes:
    """A PNG of one bit a pixel that says it is this large (reliability.md M18)."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = zlib.compress(b"\x00" * ((width // 8 + 2) * height), 9)
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def test_a_picture_is_fetched_made_small_and_found_by_its_version(account: Account, meta: Sandbox) -> None:
    pictured(account, url_of(meta))
    assert avatars.pending() == [account.id]
    assert fetched(account, meta) == 1
    assert avatars.pending() == []
    found = avatars.of(OPERATOR, MAISON_LUNE, LEA)
    with Image.open(io.BytesIO(found.content)) as picture:
        assert (picture.format, picture.size, picture.info.get("exif")) == ("WEBP", (96, 96), None)
    address = avatars.address(MAISON_LUNE, LEA, found.version)
    assert address == f"/avatars/{MAISON_LUNE}/{LEA}?v={found.version}"


def test_a_newer_answer_brings_a_newer_picture(account: Account, meta: Sandbox, hands: Hands) -> None:
    pictured(account, url_of(meta))
    fetched(account, meta)
    before = avatars.of(OPERATOR, MAISON_LUNE, LEA).version
    hands.forward(hours=1)
    pictured(account, url_of(meta, who=RUI))
    assert fetched(account, meta) == 1
    assert avatars.of(OPERATOR, MAISON_LUNE, LEA).version != before


def test_a_failure_is_remembered_for_a_day(account: Account, meta: Sandbox, hands: Hands) -> None:
    pictured(account, "https://evil.example/a.jpg")
    assert fetched(account, meta) == 0
    hands.at += timedelta(hours=23)
    assert avatars.pending() == []
    hands.at += timedelta(hours=2)
    assert avatars.pending() == [account.id]


def test_an_address_that_has_expired_is_not_asked(account: Account, meta: Sandbox) -> None:
    pictured(account, url_of(meta, oe="60000000"))
    meta.pull("DELETE", "calls")
    assert fetched(account, meta) == 0
    assert stored()[0].content is None


def test_a_picture_that_cannot_be_fetched_again_stays(account: Account, meta: Sandbox, hands: Hands) -> None:
    pictured(account, url_of(meta))
    fetched(account, meta)
    hands.forward(hours=1)
    pictured(account, "https://evil.example/a.jpg")
    assert fetched(account, meta) == 0
    assert stored()[0].content is not None


def test_who_is_forgotten_has_no_picture(account: Account, meta: Sandbox) -> None:
    pictured(account, url_of(meta))
    fetched(account, meta)
    forget.person(OPERATOR, db.session.scalars(select(Conversation.id)).one())
    assert db.session.execute(select(func.count()).select_from(StoredAvatar)).scalar_one() == 0


def test_who_may_not_see_the_account_sees_no_face(account: Account, meta: Sandbox) -> None:
    pictured(account, url_of(meta))
    fetched(account, meta)
    for viewer, who in ((ELSEWHERE, LEA), (OPERATOR, RUI)):
        with pytest.raises(NotFound):
            avatars.of(viewer, MAISON_LUNE, who)


@pytest.mark.parametrize(
    "content",
    [b"", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<html>", b"GIF89a" + b"\x00" * 100, a_png(9_000, 9_000)],
)
def test_what_is_no_picture_or_a_bomb_is_refused(content: bytes) -> None:
    with pytest.raises(NoPicture):
        avatars.small(content)


def test_a_picture_of_any_shape_becomes_square() -> None:
    for kind, size in (("PNG", (10, 400)), ("JPEG", (4_000, 30)), ("WEBP", (96, 96))):
        written = io.BytesIO()
        Image.new("RGB", size, "navy").save(written, kind)
        with Image.open(io.BytesIO(avatars.small(written.getvalue()))) as small:
            assert small.size == (96, 96)
