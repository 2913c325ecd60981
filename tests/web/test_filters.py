"""Template filters: times in the user's time zone, durations, links without a referrer."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from app import clock
from app.web import filters

NOW = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


@pytest.mark.parametrize(
    ("cookie", "shown"),
    [("tz=Europe/Lisbon", "22:30"), ("tz=Asia%2FTokyo", "07:30"), ("tz=No/Where", "22:30"), ("tz=../..", "22:30")],
)
def test_times_are_shown_in_the_reader_s_zone(cookie: str, shown: str) -> None:
    with Flask("reader").test_request_context(headers={"Cookie": cookie}):
        assert filters.wall_clock(NOW) == shown


@pytest.mark.parametrize(
    ("ago", "short", "wall"),
    [
        (timedelta(hours=3), "19:30", "19:30"),
        (timedelta(hours=23), "Yesterday", "Yesterday, 23:30"),
        (timedelta(days=3), "Tue", "Tue, 22:30"),
        (timedelta(days=7), "13 Nov", "13 Nov, 22:30"),
        (timedelta(days=40), "11 Oct", "11 Oct, 22:30"),
        (timedelta(hours=-2), "00:30", "21 Nov, 00:30"),
    ],
)
def test_a_time_says_as_little_as_tells_when_it_was(ago: timedelta, short: str, wall: str) -> None:
    with Flask("reader").test_request_context():
        assert (filters.short(NOW - ago), filters.wall_clock(NOW - ago)) == (short, wall)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (-5, "0 s"), (59.4, "59 s"), (161, "2 min 41 s"), (3900, "1 h 05 min"), (90_000, "25 h 00 min")],
)
def test_durations_have_their_two_largest_units(seconds: float, words: str) -> None:
    assert filters.duration(seconds) == words


@pytest.mark.parametrize(
    ("words", "html"),
    [
        (
            "see https://example.com/a?b=1&c=2.",
            'see <a href="https://example.com/a?b=1&amp;c=2" target="_blank" rel="noopener noreferrer nofollow">'
            "https://example.com/a?b=1&amp;c=2</a>.",
        ),
        ("javascript:alert(1)", "javascript:alert(1)"),
        ("<b>&</b>", "&lt;b&gt;&amp;&lt;/b&gt;"),
    ],
)
def test_addresses_become_links_and_all_else_is_escaped(words: str, html: str) -> None:
    assert str(filters.linkify(words)) == html


@pytest.mark.parametrize(
    ("words", "url"),
    [
        ("Voir www.atelier-nord.example/lin?a=1&b=2, merci", "https://www.atelier-nord.example/lin?a=1&b=2"),
        ("(WWW.Example.com)", "https://WWW.Example.com"),
        ("Write to lea.moreau+shop@example.co.uk.", "mailto:lea.moreau+shop@example.co.uk"),
        ("www.lea@example.com", "mailto:www.lea@example.com"),
        ("https://example.com/?to=lea@example.com", "https://example.com/?to=lea@example.com"),
        ("Bonjour@lea.moreau", "mailto:Bonjour@lea.moreau"),
        ("@lea.moreau", None),
        ("a www. b", None),
        ("www.,", None),
        ("www.user@host", None),
        ("www.user:password@host.example/", "mailto:password@host.example"),
        ("lea@localhost", None),
        ("éa@example.com", None),
        ("lea@exampl\u212a.com", None),
        ("javascript:www.example.com", "https://www.example.com"),
        ("x" * 19_999 + "@", None),
    ],
)
def test_web_and_email_addresses_become_links(words: str, url: str | None) -> None:
    html = str(filters.linkify(words))
    links = re.findall(r'<a href="([^"]*)" target="_blank" rel="noopener noreferrer nofollow">', html)
    assert [unescape(link) for link in links] == ([url] if url else [])
    assert unescape(re.sub(r"<[^>]*>", "", html)) == words


@given(st.text(st.sampled_from("<>\"'& htpsw@:/.x\n\u202e"), max_size=60))
def test_no_text_makes_markup_of_its_own(words: str) -> None:
    bare = str(filters.linkify(words))
    for link in ('<a href="', '" target="_blank" rel="noopener noreferrer nofollow">', "</a>"):
        bare = bare.replace(link, "")
    assert not set(bare) & set("<>\"'")


@pytest.mark.parametrize(
    ("email", "whole", "short"),
    [
        ("nadia.kessler@example.com", "Nadia Kessler", "Nadia K."),
        ("ops@example.com", "Ops", "Ops"),
        ("anna-maria.de_luca@x.example", "Anna Maria De Luca", "Anna L."),
        ("schedule", "Schedule", "Schedule"),
        ("Command line", "Command line", "Command line"),
        ("@", "@", "@"),
    ],
)
def test_people_are_called_by_what_their_address_says(email: str, whole: str, short: str) -> None:
    assert (filters.user_name(email), filters.user_name(email, short=True)) == (whole, short)


def test_a_noun_is_in_the_plural_unless_there_is_one() -> None:
    assert [filters.plural(number, "job") for number in (0, 1, 1208)] == ["0 jobs", "1 job", "1\u202f208 jobs"]
    assert filters.plural(2, "identity", "identities") == "2 identities"


def test_large_numbers_are_grouped() -> None:
    assert [filters.grouped(number) for number in (7, 1208, 1234567)] == ["7", "1\u202f208", "1\u202f234\u202f567"]
