"""Conversations and messages in the API."""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from app import clock
from app.db import transaction
from app.identities import observations
from app.identities.observations import ProfileObservation
from app.inbox import listing
from app.models.account import Account
from app.models.identity import Source
from tests.api.clients import ApiClient, an_api_client, problem
from tests.factories import (
    ATELIER_NORD,
    CAMILLE,
    LEA,
    MAISON_LUNE,
    RUI,
    a_message_event,
    a_user,
    an_account,
    an_echo_event,
    deliver,
    people_wrote,
)

LIST = "/messaging/conversations"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
SAMPLES = Path(__file__).parents[1] / "samples"


@pytest.fixture
def account(app: Flask) -> Account:
    account = an_account()
    people_wrote(LEA, CAMILLE, RUI)
    with transaction.write() as tx:
        seen = ProfileObservation(
            LEA, "lea.moreau", "Léa Moreau", "https://scontent.fbcdn.net/a.jpg", Source.PROFILE, clock.now()
        )
        observations.record(tx, account.id, seen)
    return account


@pytest.fixture
def crm(app: Flask, account: Account) -> ApiClient:
    return an_api_client(app)


def people(answer_data: list[dict[str, str]]) -> list[str]:
    return [each["participantPlatformId"] for each in answer_data]


def test_a_conversation_says_who_writes(crm: ApiClient) -> None:
    [lea] = [each for each in crm.get(LIST).get_json()["data"] if each["participantPlatformId"] == LEA]
    assert re.fullmatch(r"[0-9]+", lea.pop("id"))
    for name in ("lastMessageAt", "needsReplySince", "replyWindowEndsAt"):
        assert re.fullmatch(TIME, lea.pop(name))
    assert lea == {
        "accountId": MAISON_LUNE,
        "participantPlatformId": LEA,
        "participantUsername": "lea.moreau",
        "participantName": "Léa Moreau",
        "participantProfilePic": None,  # not fetched yet; Meta's own address ends within days
        "displayName": "@lea.moreau",
        "identityState": "known",
        "lastMessagePreview": "Bonjour !",
        "unreadCount": 1,
        "status": "open",
        "needsReply": True,
        "windowState": "open",
    }


def test_a_nameless_person_is_null_and_has_a_short_name(crm: ApiClient) -> None:
    [rui] = [each for each in crm.get(LIST).get_json()["data"] if each["participantPlatformId"] == RUI]
    assert (rui["participantUsername"], rui["participantName"], rui["identityState"]) == (None, None, "unknown")
    assert rui["displayName"] == f"@user_{RUI[-6:]}"


def test_pages_follow_each_other_by_cursor(crm: ApiClient) -> None:
    first = crm.get(f"{LIST}?limit=2").get_json()
    second = crm.get(f"{LIST}?limit=2&cursor={first['nextCursor']}").get_json()
    assert (people(first["data"]), people(second["data"])) == ([RUI, CAMILLE], [LEA])
    assert second["nextCursor"] is None


def test_a_cursor_works_for_its_own_list_alone(crm: ApiClient) -> None:
    cursor = crm.get(f"{LIST}?limit=1").get_json()["nextCursor"]
    for address in (f"{LIST}?unread=true&cursor={cursor}", f"{LIST}?cursor={cursor[:-2]}xx", f"{LIST}?cursor=1"):
        problem(crm.get(address), 400)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("unknown=true", [RUI, CAMILLE]),
        ("unread=true", [RUI, CAMILLE, LEA]),
        ("q=lea.mor", [LEA]),
        ("q=%25", []),
        ("status=closed", []),
        (f"accountId={MAISON_LUNE}", [RUI, CAMILLE, LEA]),
    ],
)
def test_the_list_can_be_narrowed(crm: ApiClient, query: str, found: list[str]) -> None:
    assert people(crm.get(f"{LIST}?{query}").get_json()["data"]) == found


@pytest.mark.parametrize("limit", ["0", "101", "-1", "1" + "0" * 5000, "1e2", "٣", "x", ""])
def test_a_limit_is_a_number_from_one_to_a_hundred(crm: ApiClient, limit: str) -> None:
    document = problem(crm.get(LIST, query_string={"limit": limit}), 422)
    assert [each["field"] for each in document["errors"]] == ["limit"]


def test_unknown_parameters_are_refused(crm: ApiClient) -> None:
    assert problem(crm.get(f"{LIST}?role=admin&limit=0"), 422)["errors"] == [
        {"field": "limit", "detail": "Must be greater than or equal to 1"},
        {"field": "role", "detail": "Extra inputs are not permitted"},
    ]


def test_messages_come_newest_first(crm: ApiClient, account: Account) -> None:
    people_wrote(LEA, at=clock.now() + timedelta(minutes=1))
    [lea] = crm.get(f"{LIST}?q=lea").get_json()["data"]
    first = crm.get(f"{LIST}/{lea['id']}/messages?limit=1").get_json()
    second = crm.get(f"{LIST}/{lea['id']}/messages?limit=1&cursor={first['nextCursor']}").get_json()
    [newest], [oldest] = first["data"], second["data"]
    assert newest["sentAt"] > oldest["sentAt"]
    assert (oldest["text"], oldest["direction"], oldest["senderId"]) == ("Bonjour !", "incoming", LEA)
    assert second["nextCursor"] is None


def sample(name: str) -> dict[str, Any]:
    """Return the item of `messaging` in a sample of Meta's, as an event of maison.lune."""
    delivered = json.loads((SAMPLES / f"webhook-{name}.json").read_text())
    item: dict[str, Any] = delivered["entry"][0]["messaging"][0]
    return item


def the_messages(crm: ApiClient, participant: str) -> list[dict[str, Any]]:
    """Return the messages of the contact's conversation, newest first."""
    [found] = [each for each in crm.get(LIST).get_json()["data"] if each["participantPlatformId"] == participant]
    data: list[dict[str, Any]] = crm.get(f"{LIST}/{found['id']}/messages").get_json()["data"]
    return data


def test_a_message_has_its_current_reactions(crm: ApiClient) -> None:
    echo = an_echo_event(mid="m_ours")
    theirs = {"mid": "m_ours", "action": "react", "reaction": "love", "emoji": "❤️"}
    ours = {"mid": "m_ours", "action": "react", "reaction": "like", "emoji": "👍"}
    at = echo["timestamp"]
    deliver(
        echo,
        {"sender": {"id": LEA}, "recipient": {"id": MAISON_LUNE}, "timestamp": at + 1000, "reaction": theirs},
        {"sender": {"id": MAISON_LUNE}, "recipient": {"id": LEA}, "timestamp": at + 2000, "reaction": ours},
    )
    [message] = [each for each in the_messages(crm, LEA) if each["mid"] == "m_ours"]
    assert [(each["emoji"], each["senderId"], each["fromAccount"]) for each in message["reactions"]] == [
        ("❤️", LEA, False),
        ("👍", MAISON_LUNE, True),
    ]
    assert re.fullmatch(TIME, message["reactions"][0]["at"])

    gone = {"mid": "m_ours", "action": "unreact"}
    deliver({"sender": {"id": LEA}, "recipient": {"id": MAISON_LUNE}, "timestamp": at + 3000, "reaction": gone})
    [message] = [each for each in the_messages(crm, LEA) if each["mid"] == "m_ours"]
    assert [each["emoji"] for each in message["reactions"]] == ["👍"]


def test_outgoing_messages_up_to_the_last_seen_one_say_when_they_were_seen(crm: ApiClient) -> None:
    first, second, third = (an_echo_event(mid=mid) for mid in ("m_1", "m_2", "m_3"))
    at = first["timestamp"]
    second["timestamp"], third["timestamp"] = at + 1000, at + 2000
    read = {"sender": {"id": LEA}, "recipient": {"id": MAISON_LUNE}, "timestamp": at + 3000, "read": {"mid": "m_2"}}
    deliver(first, second, third, read)
    seen = {each["mid"]: each["seenAt"] for each in the_messages(crm, LEA) if each["direction"] == "outgoing"}
    assert seen == {"m_1": seen["m_2"], "m_2": clock.rfc3339(clock.from_timestamp((at + 3000) / 1000)), "m_3": None}
    assert {each["seenAt"] for each in the_messages(crm, LEA) if each["direction"] == "incoming"} == {None}


@pytest.mark.parametrize(
    ("name", "reply"),
    [
        ("inline-reply", {"kind": "message", "storyId": None, "url": None}),
        (
            "story-reply",
            {
                "kind": "story",
                "mid": None,
                "storyId": "18050000000001002",
                "url": "https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id=18000000000000013"
                "&signature=AbSampleSignature0013",
            },
        ),
    ],
)
def test_a_reply_names_the_message_or_story_it_answers(crm: ApiClient, name: str, reply: dict[str, str | None]) -> None:
    event = sample(name)
    deliver(event)
    answered = event["message"]["reply_to"].get("mid")
    [message] = [each for each in the_messages(crm, LEA) if each["mid"] == event["message"]["mid"]]
    assert message["replyTo"] == {"mid": answered} | reply
    assert message["kind"] == ("story_reply" if name == "story-reply" else "text")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "referral-ad",
            {
                "kind": "ad",
                "ref": "ad-ref-1",
                "source": "ADS",
                "adId": "120200000000000404",
                "adTitle": "Linen week",
                "photoUrl": "https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id=18000000000000014"
                "&signature=AbSampleSignature0014",
                "videoUrl": "https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id=18000000000000015"
                "&signature=AbSampleSignature0015",
            },
        ),
        ("referral-product", {"kind": "product", "productId": "5200000000000505"}),
        (
            "referral",
            {
                "kind": "link",
                "ref": "summer-flyer",
                "source": "https://ig.me/m/harbor.lane.studio?ref=summer-flyer",
            },
        ),
    ],
)
def test_a_message_says_what_led_the_contact_here(crm: ApiClient, name: str, expected: dict[str, str]) -> None:
    event = sample(name)
    deliver(event)
    [message] = [each for each in the_messages(crm, event["sender"]["id"]) if each["referral"]]
    nothing = dict.fromkeys(("ref", "source", "adId", "adTitle", "photoUrl", "videoUrl", "productId"))
    assert message["referral"] == nothing | expected


def test_attachments_have_one_shape_and_safe_urls_only(crm: ApiClient) -> None:
    media = "https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id=1"
    attachments = [
        {"type": "image", "payload": {"url": media}},
        {"type": "share", "payload": {"url": "https://www.instagram.com/p/Abc/", "title": "Launch"}},
        {"type": "file", "payload": {"url": "javascript:alert(1)"}},
        {"type": "video", "payload": {"url": "http://169.254.169.254/latest/meta-data"}},
        {"type": "hologram", "payload": {"url": "https://user:secret@example.com/"}},
    ]
    deliver(a_message_event(text=None, mid="m_media", attachments=attachments))
    [message] = [each for each in the_messages(crm, LEA) if each["mid"] == "m_media"]
    assert message["kind"] == "image"
    assert [(each["kind"], each["url"], each["title"]) for each in message["attachments"]] == [
        ("image", media, None),
        ("share", "https://www.instagram.com/p/Abc/", "Launch"),
        ("file", None, None),
        ("video", None, None),
        ("unsupported", None, None),
    ]
    assert {(each["subtitle"], each["imageUrl"]) for each in message["attachments"]} == {(None, None)}


def test_a_plain_message_has_no_reactions_and_refers_to_nothing(crm: ApiClient) -> None:
    [message] = the_messages(crm, LEA)
    names = ("attachments", "reactions", "replyTo", "referral", "editedAt", "seenAt")
    assert [message[name] for name in names] == [[], [], None, None, None, None]


def test_what_a_token_may_not_see_reads_like_what_is_not_there(app: Flask, account: Account) -> None:
    other = an_account(ATELIER_NORD)
    limited = an_api_client(app, accounts=[other.id])
    [lea] = an_api_client(app, name="all").get(f"{LIST}?q=lea").get_json()["data"]
    assert limited.get(LIST).get_json()["data"] == []
    for address in (f"{LIST}/{lea['id']}", f"{LIST}/{lea['id']}/messages", f"{LIST}/999999", f"{LIST}/x"):
        assert problem(limited.get(address), 404)["detail"] == "No such conversation."
    assert problem(limited.get(f"{LIST}?accountId={MAISON_LUNE}"), 404)["detail"] == "No such account."


def test_a_conversation_is_marked_as_read_for_the_team(app: Flask, crm: ApiClient, account: Account) -> None:
    nadia = a_user()
    people_wrote(LEA)
    [lea] = [each for each in crm.get(LIST).get_json()["data"] if each["participantPlatformId"] == LEA]
    answer = crm.post(f"{LIST}/{lea['id']}/read")
    assert (answer.status_code, lea["unreadCount"], answer.get_json()) == (200, 2, lea | {"unreadCount": 0})
    assert len(crm.get(f"{LIST}?unread=true").get_json()["data"]) == 2
    assert listing.counts(nadia, account.id).unread == 3
    assert crm.post(f"{LIST}/{lea['id']}/read").get_json()["unreadCount"] == 0
    assert crm.post(f"{LIST}/999999/read").status_code == 404


@pytest.mark.parametrize(
    ("method", "mark"), [("POST", "read"), ("POST", "no-reply-needed"), ("DELETE", "no-reply-needed")]
)
def test_marks_are_limited_like_reading_not_like_starting_jobs(crm: ApiClient, method: str, mark: str) -> None:
    for _ in range(12):
        answer = crm.call(method, f"{LIST}/1/{mark}")
        assert (answer.status_code, answer.headers["RateLimit-Limit"]) == (200, "600")


def test_conversations_that_need_a_reply_are_listed_by_their_window(crm: ApiClient, account: Account) -> None:
    now_ms = int(clock.now().timestamp() * 1000)
    hour = 3_600_000
    with transaction.write() as tx:
        tx.execute(update(Account).values(connected_at=clock.now() - timedelta(days=30)))
    contacts = {str(10**15 + hours): hours for hours in (2, 23, 30, 200)}
    deliver(*(a_message_event(who, at_ms=now_ms - hours * hour) for who, hours in contacts.items()))
    deliver(*(an_echo_event(who) for who in (LEA, CAMILLE, RUI)))
    listed, cursor = [], ""
    while cursor is not None:
        page = crm.get(f"{LIST}?needsReply=true&order=window&limit=1{cursor and f'&cursor={cursor}'}").get_json()
        listed += page["data"]
        cursor = page["nextCursor"]
    assert [contacts[each["participantPlatformId"]] for each in listed] == [23, 2, 200, 30]
    assert [each["windowState"] for each in listed] == ["closing", "open", "expired", "closed"]
    assert {each["needsReply"] for each in listed} == {True}


def test_the_order_by_window_lists_only_who_needs_a_reply(crm: ApiClient) -> None:
    deliver(an_echo_event(LEA))
    listed = crm.get(f"{LIST}?order=window").get_json()
    assert listed == crm.get(f"{LIST}?needsReply=true").get_json()
    assert {each["participantPlatformId"] for each in listed["data"]} == {CAMILLE, RUI}


def test_no_reply_is_needed_until_the_contact_writes_again(app: Flask, account: Account) -> None:
    crm = an_api_client(app)
    path = f"{LIST}/{crm.get(f'{LIST}?needsReply=true').get_json()['data'][0]['id']}"
    assert crm.post(f"{path}/no-reply-needed").get_json()["needsReply"] is False
    assert crm.call("DELETE", f"{path}/no-reply-needed").get_json()["needsReply"] is True
    crm.post(f"{path}/no-reply-needed")
    contact = crm.get(path).get_json()["participantPlatformId"]
    deliver(a_message_event(contact, at_ms=int(clock.now().timestamp() * 1000) + 1000))
    assert crm.get(path).get_json()["needsReply"] is True
