"""Confusable names of contacts are recognized in every spelling."""

import pytest

from app.identities import confusables


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("lea.moreau", "l\u0435a.m\u043er\u0435au"),
        ("L\u00e9a Moreau", "L\u00c9A  MOREAU"),
        ("Al", "AI"),
        ("lea", "\uff2c\uff45\uff41"),
        ("lea", "@lea"),
        ("mom", "morn"),
        ("paypal", "\u0440\u0430\u0443\u0440\u0430\u04cf"),
        ("L\u00e9a", "L\u00e9a \u00b7 000011"),
        ("user_0110", "user_oII0"),
    ],
)
def test_what_looks_the_same_has_one_look(one: str, other: str) -> None:
    assert confusables.skeleton(one) == confusables.skeleton(other)


@pytest.mark.parametrize(
    ("one", "other"), [("lea", "leo"), ("L\u00e9a", "Lea"), ("lea.m", "lea_m"), ("lea 123456", "lea")]
)
def test_names_that_readers_can_distinguish_have_two_skeletons(one: str, other: str) -> None:
    assert confusables.skeleton(one) != confusables.skeleton(other)


@pytest.mark.parametrize(
    "words",
    [
        "You",
        "y\u043eu",
        "Unknown sender",
        "The sender unsent this message",
        "Maison.Lune",
        "@user_883201",
        "user_000000",
    ],
)
def test_texts_of_the_pages_are_reserved(words: str) -> None:
    assert confusables.is_reserved(confusables.skeleton(words), "maison.lune")


def test_a_look_is_never_longer_than_its_column() -> None:
    assert len(confusables.skeleton("\ufdfa" * 80)) == confusables.CHARACTERS
    assert not confusables.is_reserved(confusables.skeleton("lea.moreau"), None)
