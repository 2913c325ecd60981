"""Sanitizing untrusted strings."""

import pytest

from app import text

FAMILY = "👩‍👩‍👧‍👦"
ENGLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"


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
        (f"{ENGLAND} lea", f"{ENGLAND} lea"),
        ("\U0001f3f4" + "".join(chr(0xE0000 + ord(c)) for c in "hidden") + "words\U000e007f", "\U0001f3f4words"),
        ("x" * 79 + FAMILY, "x" * 79),
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


def test_a_terminal_gets_no_control_characters() -> None:
    assert text.for_terminal("a\x1b[2J\u202eb\nc") == "a\\x1b[2J\\u202eb\\nc"


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


@pytest.mark.parametrize("cluster", [FAMILY, ENGLAND, "🇫🇷", "👍🏽", "e\u0301", "क्षि", "1️⃣"])
def test_a_cut_goes_between_characters_as_readers_see_them(cluster: str) -> None:
    for characters in range(1, 3 * len(cluster)):
        kept = text.clip(cluster * 3, characters)
        assert len(kept) <= characters
        assert characters < len(cluster) or kept == cluster * (len(kept) // len(cluster))


def test_one_endless_character_is_cut_all_the_same() -> None:
    assert text.clip("e" + "\u0301" * 500, 80) == "e" + "\u0301" * 79


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://example.com/a?b=c#d", True),
        ("HTTP://example.com", True),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("https://example.com@evil.example/", False),
        ("https://[", False),
        ("https://exa\u202emple.com/", False),
        ("https:\\\\example.com", False),
        ("https://example.com/ x", False),
        ("https://example.com/" + "x" * 4_000, False),
        (None, False),
    ],
)
def test_only_plain_web_urls_are_web_urls(url: object, kept: bool) -> None:
    assert text.web_url(url) == (url if kept else None)


@pytest.mark.parametrize(
    "url", ["http://[", "http://[::1", "http://a:port/", "http://a:99999/", "//a\uff03b", "http://[x]/"]
)
def test_a_url_that_cannot_be_parsed_is_none(url: str) -> None:
    assert text.split_url(url) is None


def test_a_url_that_can_be_parsed_is_split() -> None:
    parts = text.split_url("http://[::1]:8000/inbox?q=a")
    assert parts is not None
    assert (parts.hostname, parts.port, parts.path, parts.query) == ("::1", 8000, "/inbox", "q=a")


@pytest.mark.parametrize("value", ["17841400000000101", "007", "12e5", "1.5", "1-2", "24/7", "2026-11-20", "12:30"])
def test_a_cell_that_excel_would_take_for_a_number_or_a_date_begins_with_a_tab(value: str) -> None:
    assert text.for_csv(value) == f"\t{value}"


@pytest.mark.parametrize("value", ["17841400000000101", "=1+1", "@lea", "lea", "", "'", "'lea'", "\t=1"])
def test_a_csv_cell_reads_back_as_the_text_that_was_written(value: str) -> None:
    assert text.from_csv(text.for_csv(value)) == value
