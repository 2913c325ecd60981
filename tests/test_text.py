"""Strangers' strings made harmless."""

import pytest

from app import text


@pytest.mark.row("S49")
@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("Léa Moreau", "Léa Moreau"),
        ("  two\n lines\t", "two lines"),
        ("lea\u202emoreau", "leamoreau"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("e\u0301", "é"),
        ("q" + "\u0301" * 60, "q\u0301\u0301\u0301\u0301"),
        ("q" + "\u0489" * 60, "q" + "\u0489" * 4),
        ("family 👩‍👩‍👧", "family 👩‍👩‍👧"),
        ("👩🏽‍⚕️ and 🏳️‍🌈", "👩🏽‍⚕️ and 🏳️‍🌈"),
        ("می‌خواهم", "می‌خواهم"),
        ("क्‍ष", "क्‍ष"),
        ("l\u200de\u200ca \u200d👩\u200d", "lea 👩"),
        ("\u2067lea\u2069\u200e\u061c\U000e0041\u2060\u00ad", "lea"),
        ("\u3164\u2800\u115f", None),
        ("\u202e\u200b \x00", "\ufffd"),
        ("", None),
        ("   ", None),
        (None, None),
        (7, None),
        ("x" * 200, "x" * 80),
    ],
)
def test_a_name_keeps_its_letters_and_loses_its_tricks(given: object, kept: str | None) -> None:
    assert text.clean_name(given) == kept


def test_a_message_keeps_its_lines_and_loses_controls() -> None:
    assert text.clean_message("a\r\nb\x1b[2J\x00\ud83d") == "a\nb[2J\ufffd\ufffd"


def test_a_message_keeps_right_to_left_marks_that_belong_to_the_script() -> None:
    assert text.clean_message("سلام\u200f") == "سلام\u200f"


def test_a_short_preview_is_one_line_with_a_marked_cut() -> None:
    assert text.shorten("one\n two", 20) == "one two"
    assert text.shorten("abcdefgh", 5) == "abcd…"


@pytest.mark.row("S44")
def test_a_terminal_gets_no_control_characters() -> None:
    assert text.for_terminal("a\x1b[2J\u202eb\nc") == "a\\x1b[2J\\u202eb\\nc"


@pytest.mark.row("S33")
@pytest.mark.parametrize(
    "value",
    [
        *("=1+1", "+1", "-2", "@SUM(1)", "\uff1d1+1", "\uff0b1", "\uff0d1", "\uff201", "=cmd|' /C calc'!A0"),
        *("\t=1", "\t1", "\r=1", "\n1", "  =1", "\u00a0=1", "\u3000\uff1d1", "\u200b=1", "\u202e@x", "\x00=1", " \t1"),
    ],
)
def test_no_cell_begins_a_formula_whatever_stands_before_it(value: str) -> None:
    cell = text.for_csv(value)
    assert cell == "'" + value.replace("\x00", "")


@pytest.mark.parametrize(
    "value", ["", " ", "lea", "12 days", "2026-11-20T12:00:00Z", "a=b", 'Léa, "l\'une"\nici', "'=1"]
)
def test_other_cells_stay_as_they_are(value: str) -> None:
    assert text.for_csv(value) == value


@pytest.mark.parametrize("value", ["17841400000000101", "007", "12e5", "1.5", "1-2", "24/7", "2026-11-20", "12:30"])
def test_a_cell_that_excel_would_take_for_a_number_or_a_date_begins_with_a_tab(value: str) -> None:
    assert text.for_csv(value) == f"\t{value}"


@pytest.mark.parametrize("value", ["17841400000000101", "=1+1", "@lea", "lea", "", "'", "'lea'", "\t=1"])
def test_a_csv_cell_reads_back_as_the_text_that_was_written(value: str) -> None:
    assert text.from_csv(text.for_csv(value)) == value
