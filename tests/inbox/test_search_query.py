"""The language of search: what is typed is parsed, and printed as it was meant."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.inbox import search_query
from app.inbox.search_query import Clause
from app.search_index import Period
from tests.support.frozen_clock import FrozenClock

FILTERS = ("unread", "unknown")


def parsed(text: str) -> search_query.Query:
    return search_query.parse(text, filters=FILTERS)


@given(st.one_of(st.text(), st.text(alphabet="ab-:\"' isunreadkphoto@2026")))
def test_a_printed_search_is_parsed_as_it_was(text: str) -> None:
    query = parsed(text)
    assert parsed(str(query)).clauses == query.clauses


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ("linen", Clause("linen")),
        ('"linen lamp"', Clause("linen lamp", phrase=True)),
        ("-linen", Clause("linen", negated=True)),
        ("is:unread", Clause("unread", "is")),
        ('from:"Léa Moreau"', Clause("Léa Moreau", "from", phrase=True)),
        ("-KIND:photo", Clause("photo", "kind", negated=True)),
        ("https://example.com", Clause("https://example.com")),
        ("--", Clause("--")),
        ('""', Clause('""')),
    ],
)
def test_each_form_is_read(text: str, clause: Clause) -> None:
    assert parsed(text).clauses == (clause,)
    assert parsed(text).notices == ()


@pytest.mark.parametrize(
    ("text", "notice"),
    [
        ("color:red", "“color:” is not a search operator"),
        ("kind:smell", "“kind:” has no value “smell”"),
        ("before:soon", "“before:” needs a date"),
        ("on:2026-02-30", "“on:” needs a date"),
        ("-after:today", "“after:” can’t be excluded"),
    ],
)
def test_what_is_no_operator_is_searched_as_words_and_a_notice_says_so(text: str, notice: str) -> None:
    query = parsed(text)
    assert [each.operator for each in query.clauses] == [""]
    assert query.notices[0].startswith(notice)


@pytest.mark.parametrize(
    ("text", "since", "until"),
    [
        ("on:2026-11-03", "2026-11-02T15:00", "2026-11-03T15:00"),
        ("after:2026-11-03", "2026-11-03T15:00", None),
        ("before:2026-11-03", None, "2026-11-02T15:00"),
        ("on:2026-12", "2026-11-30T15:00", "2026-12-31T15:00"),
        ("after:2024 before:2026", "2024-12-31T15:00", "2025-12-31T15:00"),
        ("on:yesterday", "2026-11-18T15:00", "2026-11-19T15:00"),
    ],
)
def test_days_are_those_of_the_viewers_time_zone(
    frozen_clock: FrozenClock, text: str, since: str | None, until: str | None
) -> None:
    frozen_clock.at = datetime(2026, 11, 19, 16, tzinfo=UTC)  # the 20th in Tokyo
    times = [datetime.fromisoformat(each).replace(tzinfo=UTC) if each else None for each in (since, until)]
    assert search_query.period(parsed(text), ZoneInfo("Asia/Tokyo")) == Period(*times)


def test_accounts_are_suggested_only_where_there_are_several() -> None:
    assert "in:@maison.lune" in search_query.suggestions(FILTERS, ["maison.lune", "atelier.nord"])
    assert not [each for each in search_query.suggestions(FILTERS, ["maison.lune"]) if each.startswith("in:")]
