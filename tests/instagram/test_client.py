"""Graph API calls: requests, parsed responses, and that a broken response never becomes a name."""

import hashlib
import hmac
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from app.instagram import client
from app.instagram.credential import Credential
from app.instagram.errors import GraphAPIError, Reason, Scope
from app.instagram.responses import ReadConversation
from tests.instagram.graph import Graph, always, answer, bomb, sampled, silent

TOKEN = "IGAAcanary-of-a-test"
LEA = "1520000000000011"
RUI = "9990000000000023"
LENA_ID = "17841400000000101"


@pytest.fixture
def graph() -> Iterator[Graph]:
    with Graph(silent) as started:
        yield started


@pytest.fixture
def credential(graph: Graph) -> Credential:
    return Credential(graph.url, "v26.0", TOKEN, timeout_seconds=2.0, account_ids=frozenset({LENA_ID}))


def failure_of(call: Callable[[], object]) -> GraphAPIError:
    with pytest.raises(GraphAPIError) as caught:
        call()
    return caught.value


def query(graph: Graph) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(graph.requests[-1].target).query).items()}


def test_a_profile_is_read(graph: Graph, credential: Credential) -> None:
    graph.say = always(sampled("profile"))
    lena = client.profile(credential, LEA)
    assert (lena.ig_id, lena.username, lena.name) == (LEA, "lena.moreau", "Lena Moreau")
    assert lena.picture_url
    assert lena.picture_url.startswith("https://scontent-sample-1.cdninstagram.com/")
    assert lena.usage.percent == 3


def test_absent_and_null_fields_are_none(graph: Graph, credential: Credential) -> None:
    graph.say = always(sampled("profile-partial"))
    rui = client.profile(credential, RUI)
    assert (rui.username, rui.name, rui.picture_url) == ("rui.costa", None, None)
    graph.say = always(answer({"id": RUI, "name": None, "username": None, "profile_pic": None}))
    assert client.profile(credential, RUI).username is None


def test_the_call_has_version_id_and_fields(graph: Graph, credential: Credential) -> None:
    graph.say = always(sampled("profile"))
    client.profile(credential, LEA, fields=("name", "username"))
    assert urlsplit(graph.requests[-1].target).path == f"/v26.0/{LEA}"
    assert query(graph) == {"fields": "name,username"}


def test_the_token_is_sent_only_in_the_header(
    graph: Graph, credential: Credential, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    graph.say = always(sampled("profile"))
    client.profile(credential, LEA)
    assert graph.requests[-1].headers["authorization"] == f"Bearer {TOKEN}"
    assert TOKEN not in graph.requests[-1].target
    assert "appsecret_proof" not in query(graph)
    assert TOKEN not in caplog.text
    assert TOKEN not in repr(credential)


def test_facebook_calls_carry_a_proof(graph: Graph) -> None:
    graph.say = always(sampled("profile"))
    client.profile(Credential(graph.url, "v26.0", TOKEN, 2.0, app_secret="secret"), LEA)
    assert query(graph)["appsecret_proof"] == hmac.new(b"secret", TOKEN.encode(), hashlib.sha256).hexdigest()


@pytest.mark.parametrize("ig_id", ["", "..", ".", "a/b", "1?x=1", "1#", "1%2e", "é", "1\n", "x" * 600])
def test_an_id_that_changes_the_path_is_never_sent(graph: Graph, credential: Credential, ig_id: str) -> None:
    assert failure_of(lambda: client.profile(credential, ig_id)).reason is Reason.REFUSED
    assert graph.requests == []


@pytest.mark.parametrize("token", ["two\nlines", "t\u00f6ken", "tab\t"])
def test_a_token_that_is_invalid_in_a_header_is_never_sent(graph: Graph, token: str) -> None:
    failure = failure_of(lambda: client.token_owner(Credential(graph.url, "v26.0", token, 2.0)))
    assert (failure.scope, failure.reason) == (Scope.ACCOUNT, Reason.TOKEN)
    assert graph.requests == []


def test_a_profile_of_another_contact_is_rejected(graph: Graph, credential: Credential) -> None:
    graph.say = always(sampled("profile"))
    failure = failure_of(lambda: client.profile(credential, RUI))
    assert (failure.scope, failure.code) == (Scope.CONTRACT, "other_id")


BROKEN = {
    "html": b"<html><body>Sorry, something went wrong.</body></html>",
    "empty": b"",
    "truncated": b'{"id": "1520000000000011", "username": "lena',
    "array": b'[{"id": "1520000000000011"}]',
    "string": b'"1520000000000011"',
    "null": b"null",
    "NaN": b'{"id": "1520000000000011", "follower_count": NaN}',
    "infinity": b'{"id": "1520000000000011", "follower_count": 1e999}',
    "Latin-1": '{"id": "1520000000000011", "name": "Léa"}'.encode("latin-1"),
    "UTF-16": '{"id": "1520000000000011"}'.encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf{}",
    "deep": b'{"id": ' + b"[" * 200_000,
    "endless number": b'{"id": "1520000000000011", "follower_count": ' + b"9" * 10_000 + b"}",
    "fraction as id": b'{"id": 1520000000000011.0, "username": "lena.moreau"}',
    "no id": b'{"username": "lena.moreau"}',
    "number as name": b'{"id": "1520000000000011", "name": 7}',
    "list as username": b'{"id": "1520000000000011", "username": ["lena"]}',
    "object as picture": b'{"id": "1520000000000011", "profile_pic": {}}',
    "error in a 200": b'{"id": "1520000000000011", "username": "lena", "error": "x"}',
    "huge": b'{"id": "1520000000000011", "name": "' + b"x" * client.PROFILE_BYTES + b'"}',
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_a_broken_answer_is_never_a_name(graph: Graph, credential: Credential, body: bytes) -> None:
    graph.say = always(answer(body))
    failure = failure_of(lambda: client.profile(credential, LEA))
    assert (failure.scope, failure.reason) == (Scope.CONTRACT, Reason.BAD_ANSWER)


def test_a_gzip_bomb_is_a_bad_answer(graph: Graph, credential: Credential) -> None:
    graph.say = always(bomb(megabytes=20))
    assert failure_of(lambda: client.profile(credential, LEA)).code == "too_large"


@pytest.mark.parametrize("status", [301, 302, 304, 307, 308])
def test_a_redirect_is_a_bad_answer(graph: Graph, credential: Credential, status: int) -> None:
    with Graph(always(sampled("profile"))) as canary:
        graph.say = always(answer(b"", status=status, Location=f"{canary.url}/v26.0/{LEA}"))
        assert failure_of(lambda: client.profile(credential, LEA)).code == "redirect"
        assert canary.connections == 0


def test_an_error_is_classified_by_its_code(graph: Graph, credential: Credential) -> None:
    graph.say = always(sampled("profile-error-80002"))
    failure = failure_of(lambda: client.profile(credential, LEA))
    assert (failure.scope, failure.code, failure.http_status) == (Scope.ACCOUNT, "80002", 400)
    assert failure.retry_at
    assert failure.usage.account_percent == 100


def test_a_call_without_response_ends_at_the_deadline(graph: Graph) -> None:
    credential = Credential(graph.url, "v26.0", TOKEN, timeout_seconds=0.2)
    failure = failure_of(lambda: client.profile(credential, LEA))
    assert (failure.code, failure.sentence) == ("timeout", "Instagram did not answer within 0.2 s")


def test_the_stored_response_has_no_token_and_is_small(graph: Graph, credential: Credential) -> None:
    body: dict[str, Any] = {
        "id": LEA,
        "name": "nul\x00 and \ud800",
        "is_verified_user": False,
        "access_token": "other",
        "note": f"contains {TOKEN}",
        "nested": {"access_token": TOKEN},
        "long": "x" * 100_000,
        "follower_count": 412,
    }
    graph.say = always(answer(json.dumps(body).encode()))
    raw = client.profile(credential, LEA).raw
    assert raw == {"id": LEA, "name": "nul\ufffd and \ufffd", "is_verified_user": False}
    graph.say = always(answer({"id": LEA} | {f"field_{number}": "x" * 500 for number in range(100)}))
    assert len(json.dumps(client.profile(credential, LEA).raw)) < 5000


def test_a_page_of_conversations_is_read(graph: Graph, credential: Credential) -> None:
    graph.say = always(sampled("conversations-page1"))
    page = client.conversations(credential, "me", limit=2)
    assert page.after == "QVFIUafter1"
    lena, rui = page.threads
    assert (LEA, "lena.moreau") in lena.participants
    assert (LENA_ID, "harbor.lane.studio") in rui.participants


def test_the_next_page_is_requested_by_cursor_and_platform(graph: Graph, credential: Credential) -> None:
    graph.say = always(sampled("conversations-page2"))
    client.conversations(credential, "104000000000301", limit=50, after="QVFIUafter1")
    assert urlsplit(graph.requests[-1].target).path == "/v26.0/104000000000301/conversations"
    assert query(graph) == {
        "platform": "instagram",
        "limit": "50",
        "after": "QVFIUafter1",
        "fields": "id,participants",
    }


def test_only_a_missing_next_link_ends_the_list(graph: Graph, credential: Credential) -> None:
    graph.say = always(sampled("conversations-page2"))
    assert client.conversations(credential, "me", limit=2).after is None
    graph.say = always(sampled("conversations-empty-with-next"))
    empty = client.conversations(credential, "me", limit=2)
    assert (empty.threads, empty.after) == ((), "QVFIUafter10")


def test_without_cursors_the_cursor_is_read_from_the_next_link(graph: Graph, credential: Credential) -> None:
    following = "https://elsewhere.example/me/conversations?after=QVFIU%2Bnext&access_token=TOKEN"
    graph.say = always(answer({"data": [], "paging": {"next": following}}))
    page = client.conversations(credential, "me", limit=2)
    assert (page.threads, page.after, len(graph.requests)) == ((), "QVFIU+next", 1)


def test_conversations_are_listed_by_their_ids_alone(graph: Graph, credential: Credential) -> None:
    graph.say = always(answer({"data": [{"id": "t_3"}]}))
    page = client.conversations(credential, "me", limit=1, messages=20, ids_only=True)
    assert (query(graph)["fields"], page.threads) == ("id", (ReadConversation("t_3", ()),))


def test_a_conversation_without_participants_is_kept(graph: Graph, credential: Credential) -> None:
    graph.say = always(answer({"data": [{"id": "t1"}, {"id": "t2", "participants": {"data": [{"id": LEA}]}}]}))
    assert client.conversations(credential, "me", limit=2).threads == (
        ReadConversation("t1", ()),
        ReadConversation("t2", ((LEA, None),)),
    )


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"data": None},
        {"data": {}},
        {"data": [], "paging": {"next": "https://graph.instagram.com/x"}},
        {"data": [], "paging": {"next": "https://[/?after=x"}},
        {"data": [], "paging": {"next": "https://graph.instagram.com/x", "cursors": {"after": 7}}},
    ],
)
def test_a_page_of_the_wrong_shape_is_a_bad_answer(graph: Graph, credential: Credential, body: dict[str, Any]) -> None:
    graph.say = always(answer(body))
    assert failure_of(lambda: client.conversations(credential, "me", limit=2)).reason is Reason.BAD_ANSWER


def test_a_missing_list_is_a_failure_of_the_account(graph: Graph, credential: Credential) -> None:
    graph.say = always(sampled("profile-error-100-33"))
    assert failure_of(lambda: client.conversations(credential, "me", limit=2)).scope is Scope.ACCOUNT


def test_a_page_may_be_larger_than_a_profile(graph: Graph, credential: Credential) -> None:
    graph.say = always(answer({"data": [], "padding": "x" * (2 * client.PROFILE_BYTES)}))
    assert client.conversations(credential, "me", limit=2).threads == ()
    graph.say = always(answer({"data": [], "padding": "x" * client.PAGE_BYTES}))
    assert failure_of(lambda: client.conversations(credential, "me", limit=2)).code == "too_large"


def test_the_owner_of_a_token_has_the_professional_account_id(graph: Graph, credential: Credential) -> None:
    graph.say = always(sampled("me"))
    account = client.token_owner(credential)
    assert (account.ig_account_id, account.ig_app_scoped_id) == (LENA_ID, "24900000000000777")
    assert (account.username, account.account_type) == ("harbor.lane.studio", "BUSINESS")


def test_the_owner_of_a_token_may_be_wrapped_in_data(graph: Graph, credential: Credential) -> None:
    graph.say = always(answer({"data": [{"user_id": LENA_ID, "username": "harbor.lane.studio"}]}))
    assert client.token_owner(credential).ig_account_id == LENA_ID


@pytest.mark.parametrize("body", [{"id": "24900000000000777"}, {"data": []}, {"data": [{}]}, {"user_id": True}])
def test_the_app_scoped_id_is_never_used_as_the_account_id(
    graph: Graph, credential: Credential, body: dict[str, Any]
) -> None:
    graph.say = always(answer(body))
    assert failure_of(lambda: client.token_owner(credential)).reason is Reason.BAD_ANSWER


def test_a_page_token_returns_the_account_of_the_page(graph: Graph, credential: Credential) -> None:
    linked = {"id": "17841400000000202", "username": "atelier.nord"}
    graph.say = always(answer({"id": "104000000000301", "instagram_business_account": linked}))
    page = client.page_token_owner(credential)
    assert (page.ig_account_id, page.ig_page_id, page.username) == (linked["id"], "104000000000301", "atelier.nord")


def test_a_page_without_an_account_must_be_reconnected(graph: Graph, credential: Credential) -> None:
    graph.say = always(answer({"id": "104000000000301"}))
    failure = failure_of(lambda: client.page_token_owner(credential))
    assert (failure.scope, failure.reason) == (Scope.ACCOUNT, Reason.TOKEN)
