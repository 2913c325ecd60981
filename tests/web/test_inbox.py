"""The inbox: contacts, unread counts, and what is not loaded."""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import select, update

from app import clock, queue
from app.db import transaction
from app.db.engine import db
from app.identities import observations
from app.identities.failure_policy import NO_PROFILE
from app.models.account import Account, AccountState
from app.models.call import Purpose
from app.models.conversation import Conversation, Message
from app.models.identity import Identity
from app.models.user import User
from app.viewer import Role
from tests.factories import (
    ATELIER_NORD,
    CAMILLE,
    LEA,
    MAISON_LUNE,
    UNKNOWN_PERSON,
    a_message_event,
    an_account,
    an_echo_event,
    deliver,
    named,
    people_wrote,
)
from tests.support.webhooks import receive_webhook
from tests.web.browsing import click, part, poll_headers, signed_in

SAMPLES = Path(__file__).parents[1] / "samples"


@pytest.fixture
def account(app: Flask) -> Account:
    return an_account()


@pytest.fixture
def agent(app: Flask, account: Account) -> FlaskClient:
    return signed_in(app)


def unread() -> int:
    db.session.rollback()
    return db.session.scalars(select(Conversation.unread_count)).one()


def test_before_the_first_account_the_pages_show_what_to_do(app: Flask) -> None:
    admin, ops = signed_in(app, Role.ADMIN), signed_in(app, Role.OPS)
    for address in ("/inbox", "/jobs/new"):
        shown = admin.get(address)
        assert shown.status_code == 200
        assert '<a class="button button-primary" href="/accounts#connect">Connect account</a>' in shown.text
        other = ops.get(address).text
        assert "Ask an admin to connect an account" in other
        assert "Connect account</a>" not in other
    assert "Select a conversation" not in admin.get("/inbox").text
    assert "No account connected" in part(admin, "/inbox/list").text


def test_a_disconnected_account_is_shown_on_every_page_and_over_its_list(app: Flask) -> None:
    account = an_account()
    admin, agent = signed_in(app, Role.ADMIN), signed_in(app, Role.AGENT)
    before = agent.get("/inbox").text
    assert "an account must be reconnected" not in before
    assert "is disconnected" not in before
    with transaction.write() as tx:
        tx.execute(update(Account).where(Account.id == account.id).values(state=AccountState.RECONNECT))
        tx.mark_changed(account.id)
    for address in ("/inbox", "/jobs", "/identities", "/insights"):
        assert "an account must be reconnected" in agent.get(address).text
    polled = agent.get("/inbox/list", headers=poll_headers(before, "conv-list"))
    assert "maison.lune</bdi> is disconnected." in polled.text
    assert "Ask an admin to reconnect" in polled.text
    assert f'href="/accounts#account-{MAISON_LUNE}">Reconnect</a>' in admin.get("/inbox").text


def test_every_conversation_shows_who_is_writing(agent: FlaskClient, account: Account) -> None:
    people_wrote(UNKNOWN_PERSON, CAMILLE, LEA)
    named(account, LEA, username="lea.moreau", name="Léa Moreau")
    named(account, CAMILLE, name="Camille Roux")
    page = agent.get("/inbox").text
    places = [page.index(words) for words in ("lea.moreau</bdi>", "Camille Roux</bdi>", "@user_883201</bdi>")]
    assert places == sorted(places)
    assert page.count('<span class="unknown">unknown</span>') == 1
    assert ">None<" not in page


def test_opening_marks_as_read_and_only_by_post(agent: FlaskClient) -> None:
    people_wrote(LEA)
    opened = part(agent, "/inbox/1").text
    assert 'hx-post="/inbox/1/read?arrivals=1" hx-trigger="load"' in opened
    assert unread() == 1
    assert click(agent, "/inbox/1/read?arrivals=1").status_code == 204
    assert unread() == 0
    assert 'hx-post="/inbox/1/read' not in part(agent, "/inbox/1").text


def test_a_message_that_arrives_between_opening_and_marking_stays_unread(agent: FlaskClient) -> None:
    people_wrote(LEA)
    opened = part(agent, "/inbox/1").text
    people_wrote(LEA)
    [address] = set(re.findall(r'hx-post="(/inbox/1/read[^"]*)"', opened))
    click(agent, address.replace("&amp;", "&"))
    assert unread() == 1


def test_older_messages_alone_are_not_taken_for_all_of_them(agent: FlaskClient) -> None:
    people_wrote(LEA)
    assert 'hx-trigger="load"' not in part(agent, "/inbox/1?before=1,1").text


@pytest.mark.parametrize(
    ("names", "reported"), [({"username": "nora.lind"}, "Now @nora.lind"), (None, "Still unknown: ")]
)
def test_a_refresh_reports_what_its_lookup_brought(
    agent: FlaskClient, account: Account, names: dict[str, Any] | None, reported: str
) -> None:
    people_wrote(LEA)
    asked = json.loads(click(agent, "/inbox/1/refresh").headers["HX-Trigger"])["lookup:requested"]["url"]
    assert "HX-Trigger" not in part(agent, asked).headers
    if names:
        named(account, LEA, **names)
    else:
        with transaction.write() as tx:
            observations.record_failure(tx, account.id, LEA, NO_PROFILE, at=clock.now(), raw=None)
    events = json.loads(part(agent, asked).headers["HX-Trigger"])
    assert events["toast"]["text"].startswith(reported)
    assert {"lookup:ended", "inbox:refresh"} <= events.keys()


def test_a_refresh_without_a_result_says_so_after_the_last_time_of_asking(agent: FlaskClient, account: Account) -> None:
    people_wrote(LEA)
    events = json.loads(part(agent, "/inbox/1/lookup?since=9").headers.get("HX-Trigger", "{}"))
    assert events["toast"]["text"].startswith("No result yet.")
    assert "HX-Trigger" not in part(agent, f"/inbox/1/lookup?since={10**17}").headers


def test_an_account_that_was_removed_is_not_the_last_used_one(agent: FlaskClient, account: Account) -> None:
    atelier = an_account(ATELIER_NORD)
    assert agent.get(f"/inbox?account={ATELIER_NORD}").status_code == 200
    assert "Account atelier.nord" in agent.get("/accounts").text
    with transaction.write() as tx:
        tx.execute(update(Account).where(Account.id == atelier.id).values(state=AccountState.DELETING))
    for path in ("/inbox", "/accounts", "/nowhere"):
        assert "Account maison.lune" in agent.get(path).text
    assert agent.get(f"/inbox?account={ATELIER_NORD}").status_code == 404


def test_asking_for_a_person_makes_them_due_and_calls_a_worker(
    agent: FlaskClient, account: Account, redis: Redis
) -> None:
    people_wrote(LEA)
    redis.flushall()
    assert click(agent, "/inbox/1/refresh").status_code == 204
    db.session.rollback()
    assert db.session.scalars(select(Identity.next_purpose)).one() is Purpose.ASKED
    assert redis.llen(f"rq:queue:{queue.TASKS[queue.RESOLVE].queue}") == 1


def test_our_own_messages_are_ours_whoever_sent_them_last(agent: FlaskClient) -> None:
    deliver(a_message_event(LEA, "Is it available?"), an_echo_event(LEA, "Yes, one left."))
    opened = part(agent, "/inbox/1").text
    theirs, ours = opened.index('data-side="theirs"'), opened.index('data-side="ours"')
    assert theirs < opened.index("Is it available?") < ours < opened.index("Yes, one left.")
    assert '<span class="name-text">You</span>' in opened


def test_names_and_texts_of_strangers_are_escaped(agent: FlaskClient, account: Account) -> None:
    deliver(a_message_event(LEA, '<img src=x onerror="alert(1)">'))
    named(account, LEA, name="<script>alert(2)</script>")
    for page in (agent.get("/inbox").text, part(agent, "/inbox/1").text):
        assert "<img src=x" not in page
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert(2)" in page


def test_only_media_of_meta_is_loaded(agent: FlaskClient) -> None:
    ours = "https://scontent.cdninstagram.com/v/t1.jpg"
    foreign = (
        *("https://example.com/t1.jpg", "http://scontent.cdninstagram.com/v/t1.jpg", "javascript:alert(1)"),
        *("https://cdninstagram.com.example.com/t1.jpg", "https://evil/", "https://x.fbcdn.net.evil/"),
    )
    for url in (ours, *foreign):
        for kind in ("image", "video", "audio"):
            deliver(a_message_event(LEA, None, attachments=[{"type": kind, "payload": {"url": url}}]))
    opened = part(agent, "/inbox/1")
    assert opened.text.count(f'src="{ours}"') == 3
    assert not [url for url in foreign if url in opened.text]
    assert opened.headers["Referrer-Policy"] == "same-origin"  # none to another host


def test_conversations_of_other_accounts_are_not_found(app: Flask, account: Account) -> None:
    people_wrote(LEA)
    other = an_account(ATELIER_NORD)
    elsewhere = signed_in(app)
    with transaction.write() as tx:
        tx.execute(update(User).values(account_ids=[other.id]))
    assert elsewhere.get("/inbox").status_code == 200
    assert MAISON_LUNE not in elsewhere.get("/inbox").text
    for address in ("/inbox/1", "/inbox/1/messages", f"/inbox?account={MAISON_LUNE}"):
        assert elsewhere.get(address).status_code == 404
    for action in ("read", "unread", "refresh"):
        assert click(elsewhere, f"/inbox/1/{action}").status_code == 404
    assert unread() == 1


def test_clicks_without_scripts_lead_back_to_a_page(agent: FlaskClient) -> None:
    people_wrote(LEA)
    answer = click(agent, "/inbox/1/read", htmx=False)
    assert (answer.status_code, answer.location) == (303, "/inbox/1")


def test_reading_changes_nothing(agent: FlaskClient) -> None:
    people_wrote(LEA)
    for address in ("/inbox", "/inbox/1", "/inbox/1/messages", "/jobs"):
        agent.get(address)
    assert unread() == 1
    assert len(db.session.scalars(select(Message)).all()) == 1


def test_a_search_writes_itself_into_the_address(agent: FlaskClient, account: Account) -> None:
    people_wrote(LEA, CAMILLE)
    named(account, LEA, username="lea.moreau")
    found = part(agent, "/inbox/list?q=lea", HX_Trigger="q")
    assert found.headers["HX-Replace-Url"].endswith("q=lea")
    assert "<mark>lea</mark>.moreau" in found.text
    assert "@user_000033" not in found.text
    assert "HX-Replace-Url" not in part(agent, "/inbox/list?q=lea", HX_Trigger="conv-list").headers


def test_a_search_with_a_nul_character_is_refused(agent: FlaskClient, account: Account) -> None:
    people_wrote(LEA)
    named(account, LEA, username="lea.moreau")
    assert "lea.moreau" in agent.get("/inbox").text
    answer = agent.get("/inbox?q=%00")
    assert answer.status_code == 400


def test_older_conversations_follow_without_a_gap(agent: FlaskClient) -> None:
    people_wrote(*(str(10**15 + place) for place in range(45)))
    first = part(agent, "/inbox/list").text
    more = first.split('hx-get="/inbox/list/more?', 1)[1].split('"', 1)[0].replace("&amp;", "&")
    second = part(agent, f"/inbox/list/more?{more}").text
    assert (first.count('<li class="row"'), second.count('<li class="row"')) == (40, 5)
    assert "list-more" not in second


KINDS = {
    "attachment-audio": "<audio src=",
    "attachment-video": "<video src=",
    "attachment-ephemeral": "Disappearing photo or video",
    "attachment-file": "File",
    "attachment-ig-reel": "reel",
    "attachment-ig-story": "Shared a story",
    "attachment-share": "Shared a post",
    "attachment-story-mention": "Mentioned you in their story",
    "attachment-template-empty": "Shared a card",
    "attachment-unsupported-type": "can only be viewed in Instagram",
    "handover": "took over this conversation",
    "inline-reply": "Replied to",
    "optin": "Opted in to notifications",
    "postback": "Where is my order?",
    "quick-reply": "Tapped a quick reply",
    "referral": "Started from a link",
    "referral-ad": "Linen week",
    "referral-product": "Asked about a product",
    "standby": "another app owns the thread",
    "story-reply": "Replied to your story",
    "unsupported": "type of message can only be viewed in Instagram",
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_message_can_be_read(agent: FlaskClient, name: str) -> None:
    body = (SAMPLES / f"webhook-{name}.json").read_bytes()
    receive_webhook(body)
    opened = part(agent, "/inbox/1").text
    words = " ".join(re.sub(r"<[^>]+>", " ", opened).split())
    assert KINDS[name] in (opened if KINDS[name].startswith("<") else words)
    assert agent.get("/inbox").status_code == 200


def test_a_message_shows_its_exact_time_on_hover(agent: FlaskClient) -> None:
    deliver(a_message_event(LEA, "Bonjour", at_ms=1773134403000), a_message_event(LEA, "Merci", at_ms=1773134405000))
    opened = part(agent, "/inbox/1").text
    for second in (3, 5):
        assert f'title="Tuesday 10 March 2026, 09:20:0{second}"' in re.sub(r"<time.*?</time>", "", opened)


def test_what_happened_to_messages_shows(agent: FlaskClient) -> None:
    deliver(a_message_event(LEA, "a secret", mid="m"), an_echo_event(LEA, "Bonsoir", mid="o"))
    for event in (
        {"message_edit": {"mid": "o", "text": "Bonne nuit", "num_edit": 1}},
        {"reaction": {"mid": "o", "action": "react", "emoji": "❤️"}},
        {"read": {"mid": "o"}},
        {"message": {"mid": "m", "is_deleted": True}},
    ):
        parties = {"sender": {"id": LEA}, "recipient": {"id": MAISON_LUNE}, "timestamp": 1773134400000}
        deliver(parties | event)
    opened = part(agent, "/inbox/1").text
    assert "The sender unsent this message" in opened
    assert "Bonne nuit" in opened
    assert 'aria-label="@user_000011 reacted with ❤️"' in opened
    assert ">Edited<" in opened
    assert "Seen" in opened
    for page in (opened, agent.get("/inbox").text):
        assert "a secret" not in page


def rows_of(agent: FlaskClient, filter_: str) -> str:
    return part(agent, f"/inbox/list?filter={filter_}").text


@pytest.mark.parametrize(
    ("minutes_ago", "state", "left"),
    [
        (1, "", ""),
        (18 * 60 + 30, "closing", "5 h left"),
        (23 * 60 + 19.5, "urgent", "40 min left"),
        (24 * 60 + 1, "closed", "Window closed"),
        (7 * 24 * 60 + 1, "", ""),
    ],
)
def test_every_list_shows_the_time_left_to_reply(agent: FlaskClient, minutes_ago: float, state: str, left: str) -> None:
    people_wrote(LEA, at=clock.now() - timedelta(minutes=minutes_ago))
    for filter_ in ("all", "unread", "unknown", "needs_reply"):
        shown = rows_of(agent, filter_)
        assert re.findall(r'row-window" data-until="[^"]+" data-state="(\w*)"[^>]*>([^<]*)<', shown) == [(state, left)]


def test_an_answer_from_a_phone_takes_a_conversation_off_the_needs_reply_list(agent: FlaskClient) -> None:
    people_wrote(LEA)
    people_wrote(LEA)
    shown = rows_of(agent, "needs_reply")
    assert 'id="c1"' in shown
    assert '<span class="segment-count num" id="count-needs_reply" hx-swap-oob="true">1<' in shown
    headers = poll_headers(shown, "conv-list")
    deliver(an_echo_event(LEA, at_ms=int(clock.now().timestamp() * 1000) + 1000))
    polled = agent.get("/inbox/list?filter=needs_reply", headers=headers)
    assert 'id="c1"' not in polled.text
    assert "No reply needed." in polled.text


def test_an_automatic_answer_is_called_one(agent: FlaskClient) -> None:
    people_wrote(LEA)
    deliver(an_echo_event(LEA, at_ms=int(clock.now().timestamp() * 1000) + 1000, app_id=900000000000001))
    assert "<span>Answered automatically:</span>" in rows_of(agent, "all")
    assert 'id="c1"' not in rows_of(agent, "needs_reply")


def test_a_decision_that_no_reply_is_needed_works_without_javascript_and_can_be_withdrawn(agent: FlaskClient) -> None:
    people_wrote(LEA)
    [address] = re.findall(r'action="(/inbox/1/no-reply-needed[^"]*)"', agent.get("/inbox/1").text)
    assert click(agent, address, htmx=False).status_code == 303
    assert 'id="c1"' not in rows_of(agent, "needs_reply")
    assert "No reply needed</dt>" in agent.get("/inbox/1").text
    assert click(agent, "/inbox/1/needs-reply", htmx=False).status_code == 303
    assert 'id="c1"' in rows_of(agent, "needs_reply")


def test_a_message_that_arrives_before_the_decision_still_needs_a_reply(agent: FlaskClient) -> None:
    people_wrote(LEA, at=clock.now() - timedelta(minutes=5))
    [address] = re.findall(r'action="(/inbox/1/no-reply-needed[^"]*)"', agent.get("/inbox/1").text)
    people_wrote(LEA)
    click(agent, address)
    assert 'id="c1"' in rows_of(agent, "needs_reply")


def test_the_profile_is_linked_while_the_username_is_fresh(agent: FlaskClient, account: Account) -> None:
    people_wrote(LEA)
    named(account, LEA, username="lea.moreau")
    link = 'href="https://www.instagram.com/lea.moreau/" target="_blank" rel="noopener noreferrer"'
    assert link in agent.get("/inbox/1").text
    with transaction.write() as tx:
        tx.execute(update(Identity).values(last_success_at=clock.now() - timedelta(days=8)))
    assert link not in agent.get("/inbox/1").text


def test_the_reply_link_says_whom_to_look_for_without_a_username(agent: FlaskClient, account: Account) -> None:
    people_wrote(CAMILLE)
    assert "Look for" not in agent.get("/inbox/1").text
    named(account, CAMILLE, name="Camille Roux")
    assert 'title="Reply in Instagram (O). Look for Camille Roux"' in agent.get("/inbox/1").text
