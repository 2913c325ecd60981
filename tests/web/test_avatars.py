"""Pictures of contacts in the browser."""

from flask import Flask

from app import clock
from app.db import transaction
from app.identities import observations
from app.identities.observations import ProfileObservation
from app.models.identity import Source, StoredAvatar
from tests.factories import LEA, MAISON_LUNE, an_account, people_wrote
from tests.web.browsing import signed_in


def a_picture(app: Flask) -> None:
    account = an_account()
    people_wrote(LEA)
    with transaction.write() as tx:
        observations.record(
            tx, account.id, ProfileObservation(LEA, "lea.moreau", None, None, Source.PROFILE, clock.now())
        )
        values = {"identity_id": 1, "content": b"RIFF", "version": "abc"}
        tx.execute(tx.insert(StoredAvatar).values(tried_at=clock.now(), **values))


def test_a_picture_is_kept_by_browsers_and_shown_to_nobody_else(app: Flask) -> None:
    a_picture(app)
    client = signed_in(app)
    answer = client.get(f"/avatars/{MAISON_LUNE}/{LEA}?v=abc")
    assert (answer.data, answer.content_type) == (b"RIFF", "image/webp")
    assert answer.headers["Cache-Control"] == "private, max-age=604800, immutable"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert client.get(f"/avatars/{MAISON_LUNE}/999").status_code == 404
    assert app.test_client().get(f"/avatars/{MAISON_LUNE}/{LEA}").status_code == 303


def test_pages_show_the_picture_instead_of_initials(app: Flask) -> None:
    a_picture(app)
    client = signed_in(app)
    for address in ("/inbox", "/inbox/1", "/identities", "/identities/1"):
        assert f'src="/avatars/{MAISON_LUNE}/{LEA}?v=abc"' in client.get(address).text
