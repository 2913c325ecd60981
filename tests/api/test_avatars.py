"""Pictures of contacts in the API."""

from flask import Flask

from app import clock
from app.db import transaction
from app.models.identity import StoredAvatar
from tests.api.clients import an_api_client, problem
from tests.factories import ATELIER_NORD, LEA, MAISON_LUNE, an_account, people_wrote

LIST = "/messaging/conversations"


def test_a_conversation_leads_to_a_picture_that_the_token_opens(app: Flask) -> None:
    an_account()
    other = an_account(ATELIER_NORD)
    people_wrote(LEA)
    with transaction.write() as tx:
        stored = {"content": b"RIFFwebp", "version": "ab12", "tried_at": clock.now()}
        tx.execute(tx.insert(StoredAvatar).values(identity_id=1, **stored))
    crm, limited = an_api_client(app), an_api_client(app, accounts=[other.id], name="limited")
    [lea] = crm.get(LIST).get_json()["data"]
    assert lea["participantProfilePic"] == f"/api/avatars/{MAISON_LUNE}/{LEA}?v=ab12"
    picture = crm.get(lea["participantProfilePic"])
    assert (picture.data, picture.content_type) == (b"RIFFwebp", "image/webp")
    assert picture.headers["Cache-Control"].startswith("private")
    bytes_ = crm.get(lea["participantProfilePic"], headers={"Accept": "application/octet-stream"})
    assert (bytes_.data, bytes_.content_type) == (b"RIFFwebp", "application/octet-stream")
    foreign, nobody = (limited.get(f"/api/avatars/{MAISON_LUNE}/{who}") for who in (LEA, "1520000000999999"))
    assert problem(foreign, 404) == problem(nobody, 404)
    problem(crm.client.get(lea["participantProfilePic"]), 401)


def test_who_has_no_picture_has_no_address(app: Flask) -> None:
    an_account()
    people_wrote(LEA)
    [lea] = an_api_client(app).get(LIST).get_json()["data"]
    assert lea["participantProfilePic"] is None
