"""Webhook endpoints: handshake, deliveries, and requests that are refused before anything is read."""

import gzip
import io
import json
from typing import NoReturn

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from app import settings
from app.db.engine import db
from app.errors import Unavailable
from app.ingest import receive
from app.models.conversation import Message
from app.models.ingest import DeadLetter
from tests.factories import LEA, a_delivery, a_message_event, an_account
from tests.support import snapshot
from tests.support.webhooks import post_webhook, signature_of, signed_headers

MIB = 1024 * 1024
CHUNKED = {"wsgi.input_terminated": True}  # as gunicorn says of a body without a length
ADDRESS = "/webhooks/instagram"


def stored() -> int:
    return db.session.execute(select(func.count()).select_from(Message)).scalar_one()


def handshake(client: FlaskClient, **changes: str) -> tuple[int, str]:
    asked = {"mode": "subscribe", "verify_token": settings.current().meta_verify_token, "challenge": "1158201444"}
    answer = client.get(ADDRESS, query_string={f"hub.{name}": value for name, value in (asked | changes).items()})
    return answer.status_code, answer.text


def test_a_handshake_with_our_token_is_echoed_as_bare_text(client: FlaskClient) -> None:
    assert handshake(client) == (200, "1158201444")
    token = settings.current().meta_verify_token
    answer = client.get(f"{ADDRESS}?hub.mode=subscribe&hub.verify_token={token}&hub.challenge=Az_-9")
    assert answer.text == "Az_-9"
    assert answer.content_type == "text/plain; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("changes", [{"verify_token": "guessed"}, {"verify_token": "é"}, {"mode": "unsubscribe"}])
def test_a_handshake_without_our_token_is_refused(client: FlaskClient, changes: dict[str, str]) -> None:
    assert handshake(client, **changes)[0] == 403


@pytest.mark.parametrize("challenge", ["<script>alert(1)</script>", "", "a b", "x" * 129, "é", "1\n"])
def test_only_a_plain_challenge_is_echoed(client: FlaskClient, challenge: str) -> None:
    status, text = handshake(client, challenge=challenge)
    assert status == 400
    assert "<" not in text


def test_missing_or_doubled_parameters_are_refused(client: FlaskClient) -> None:
    parameters = ["hub.mode=subscribe", f"hub.verify_token={settings.current().meta_verify_token}", "hub.challenge=1"]
    assert client.get(f"{ADDRESS}?{'&'.join(parameters)}").status_code == 200
    for each in parameters:
        missing = "&".join(other for other in parameters if other != each)
        assert client.get(f"{ADDRESS}?{missing}").status_code == 400
        assert client.get(f"{ADDRESS}?{'&'.join([*parameters, each])}").status_code == 400


def test_a_signed_delivery_is_stored_before_the_200_without_a_session(client: FlaskClient) -> None:
    an_account()
    body = a_delivery(a_message_event(LEA))
    answer = post_webhook(client, body)
    assert answer.status_code == 200
    assert stored() == 1
    assert "Set-Cookie" not in answer.headers


BODY = a_delivery(a_message_event(LEA))


@pytest.mark.parametrize("status", [200, 400, 401])
def test_an_ordinary_delivery_gets_the_response_that_flask_gives_to_an_unusual_one(
    client: FlaskClient, status: int
) -> None:
    an_account()
    body = b"not json" if status == 400 else BODY
    headers = {} if status == 401 else signed_headers(body)
    ordinary = client.post(ADDRESS, data=body, headers=headers)
    unusual = client.post(f"{ADDRESS}/", data=body, headers=headers)
    assert ordinary.status == unusual.status
    assert ordinary.status_code == status
    assert ordinary.data == unusual.data
    assert all(answer.headers.pop("X-Request-Id") for answer in (ordinary, unusual))
    assert sorted(ordinary.headers) == sorted(unusual.headers)


def test_a_body_that_is_cut_short_is_refused(client: FlaskClient) -> None:
    an_account()
    for address in (ADDRESS, f"{ADDRESS}/"):
        cut = io.BytesIO(BODY[:-1])
        length = {"CONTENT_LENGTH": str(len(BODY))}
        answer = client.post(address, input_stream=cut, headers=signed_headers(BODY), environ_overrides=length)
        assert answer.status_code == 400
    assert stored() == 0


def test_a_delivery_with_a_nul_in_its_url_is_refused(client: FlaskClient) -> None:
    an_account()
    assert client.post(f"{ADDRESS}?x=%00", data=BODY, headers=signed_headers(BODY)).status_code == 400
    assert stored() == 0


OTHERWISE_WRITTEN = json.dumps(json.loads(BODY), indent=1).encode()  # says the same
RIGHT = signature_of(BODY)
FORGED = {
    "none": None,
    "empty": "",
    "no digest": "sha256=",
    "63 digits": RIGHT[:-1],
    "65 digits": RIGHT + "0",
    "upper case": RIGHT.upper(),
    "right digest of the wrong kind": RIGHT.replace("sha256=", "sha1="),
    "two joined by a comma": f"{RIGHT},{RIGHT}",
    "the digest of what the body says, written otherwise": signature_of(OTHERWISE_WRITTEN),
    "a digest under the empty key": signature_of(BODY, secret=""),
    "bytes C3 A9": "sha256=\u00c3\u00a9",
    "another digest": "sha256=" + "0" * 64,
}


def test_a_forged_delivery_is_refused_counted_and_leaves_nothing(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    an_account()
    before, refused = snapshot.tables(), receive.count_refused()
    for forgery, signature in FORGED.items():
        headers = {} if signature is None else {"X-Hub-Signature-256": signature}
        assert client.post(ADDRESS, data=BODY, headers=headers).status_code == 401, forgery
    assert snapshot.tables() == before
    assert receive.count_refused() == refused + len(FORGED) + 1
    assert not [record for record in caplog.records if record.exc_info]
    assert post_webhook(client, BODY).status_code == 200


def test_two_signatures_are_no_signature(client: FlaskClient) -> None:
    assert client.post(ADDRESS, data=BODY, headers=[("X-Hub-Signature-256", RIGHT)] * 2).status_code == 401


def test_signed_nonsense_is_400_and_kept(client: FlaskClient) -> None:
    body = b"not json"
    assert post_webhook(client, body).status_code == 400
    assert db.session.execute(select(func.count()).select_from(DeadLetter)).scalar_one() == 1


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_4_mib_is_413_however_it_comes(client: FlaskClient, chunked: bool) -> None:
    body = b"x" * (4 * MIB + 1)
    inside = b"x" * (4 * MIB)  # a signature over the part within the limit must not admit the rest
    for headers in (signed_headers(body), signed_headers(inside)):
        if chunked:
            answer = client.post(
                ADDRESS,
                input_stream=io.BytesIO(body),
                headers=headers,
                environ_overrides=CHUNKED,
            )
        else:
            answer = client.post(ADDRESS, data=body, headers=headers)
        assert answer.status_code == 413


def test_a_chunked_body_of_4_mib_is_read_whole(client: FlaskClient) -> None:
    body = b" " * (4 * MIB - 2) + b"{}"
    answer = client.post(
        ADDRESS, input_stream=io.BytesIO(body), headers=signed_headers(body), environ_overrides=CHUNKED
    )
    assert answer.status_code == 200


def test_packed_bodies_are_not_unpacked(client: FlaskClient) -> None:
    body = gzip.compress(a_delivery(a_message_event(LEA)))
    answer = client.post(ADDRESS, data=body, headers=signed_headers(body) | {"Content-Encoding": "gzip"})
    assert answer.status_code == 415


def test_without_a_database_meta_is_to_come_again(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(body: bytes, signature: str | None, **_options: bool) -> NoReturn:
        raise Unavailable("database")

    monkeypatch.setattr(receive, "receive_delivery", away)
    body = a_delivery(a_message_event(LEA))
    answer = post_webhook(client, body)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.content_type.startswith("text/plain")


def test_a_fault_of_ours_tells_meta_nothing(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(body: bytes, signature: str | None, **_options: bool) -> NoReturn:
        raise RuntimeError("marker-of-a-fault")

    monkeypatch.setattr(receive, "receive_delivery", broken)
    answer = client.post(ADDRESS, data=b"{}")
    assert answer.status_code == 500
    assert "marker" not in answer.text


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE"])
def test_other_methods_are_refused(client: FlaskClient, method: str) -> None:
    assert client.open(ADDRESS, method=method).status_code == 405
