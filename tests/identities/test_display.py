"""How a person is called: the one rule, and what stands in for a picture."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.identities import display
from tests.factories import UNKNOWN_PERSON

words = st.one_of(st.none(), st.text(max_size=40), st.sampled_from(["unknown", "None", "null", "UNKNOWN_7", " "]))


@pytest.mark.parametrize(
    ("username", "name", "text"),
    [
        ("lea.moreau", "Léa Moreau", "@lea.moreau"),
        ("lea.moreau", None, "@lea.moreau"),
        (None, "Camille Roux", "Camille Roux"),
        ("  ", "Camille Roux", "Camille Roux"),
        ("UNKNOWN_1", "Camille Roux", "Camille Roux"),
        ("unknown", "null", "@user_883201"),
        (None, None, "@user_883201"),
        (None, "@", "@user_883201"),
        ("@ ", "@unknown", "@user_883201"),
        ("", " \t", "@user_883201"),
        ("None", "UNKNOWN", "@user_883201"),
        ("not a handle", None, "not a handle"),
        ("unknowing", None, "@unknowing"),
    ],
)
def test_username_then_name_then_short_id(username: str | None, name: str | None, text: str) -> None:
    assert display.display_name(UNKNOWN_PERSON, username, name).text == text


@given(username=words, name=words)
def test_nothing_is_never_shown_as_a_name(username: str | None, name: str | None) -> None:
    shown = display.display_name(UNKNOWN_PERSON, username, name)
    assert shown.text.strip()
    assert shown.text.strip("@ ").lower() not in ("", "none", "null", "unknown")
    assert shown.known == (shown.username is not None or shown.name is not None)
    assert shown.known or shown.text == "@user_883201"


def test_the_second_name_says_more_than_the_first() -> None:
    assert display.display_name("1", "lea.moreau", "Léa Moreau").second == "Léa Moreau"
    assert display.display_name("1", "lea.moreau", "Lea.Moreau").second is None
    assert display.display_name("1", None, "Léa Moreau").second is None


@pytest.mark.parametrize(
    ("shown", "letters"),
    [("Léa Moreau", "LM"), ("lea.moreau", "LM"), ("maya", "M"), ("山田 花子", "山花"), ("🌻 Sunny Days 🌻", "")],
)
def test_initials_are_first_letters_of_first_and_last_word(shown: str, letters: str) -> None:
    assert display.initials(shown) == letters


def test_the_nameless_get_a_pattern_of_their_own_and_the_named_initials() -> None:
    nameless = display.avatar("1", display.display_name("1", None, None))
    named = display.avatar("1", display.display_name("1", "lea.moreau", None))
    assert (nameless.initials, named.initials, named.pattern) == (None, "LM", None)
    assert nameless.pattern != display.avatar("2", display.display_name("2", None, None)).pattern


@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_patterns_mirror_and_hues_are_among_the_twelve(ig_participant_id: str) -> None:
    cells = set(display.pattern(ig_participant_id).split("z"))
    for cell in cells - {""}:
        column, _, row = cell.removeprefix("M").removesuffix("h1v1h-1").partition(" ")
        assert f"M{4 - int(column)} {row}h1v1h-1" in cells
    assert 0 <= display.hue(ig_participant_id) < display.HUES


def test_a_name_that_looks_like_another_s_is_shown_with_digits_of_the_id() -> None:
    assert display.display_name("1520000000000011", "lea", None, alike=6).text == "@lea · 000011"
    assert display.display_name("1520000000000011", None, "Léa", alike=9).text == "Léa · 000000011"
