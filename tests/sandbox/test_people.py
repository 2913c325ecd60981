"""Generated contacts: the same for the same seed, with every awkward case."""

from app.sandbox.people import crowd
from tests.factories import CAMILLE, GHOST, LEA, RUI, SHY, UNKNOWN_PERSON


def test_the_same_seed_gives_the_same_contacts() -> None:
    assert crowd(200, 7) == crowd(200, 7)
    assert crowd(200, 7) != crowd(200, 8)


def test_the_fixed_contacts_come_first() -> None:
    people = crowd(500, 7)
    assert [person.id for person in people[:6]] == [LEA, CAMILLE, UNKNOWN_PERSON, GHOST, SHY, RUI]
    assert len({person.id for person in people}) == len(people)


def test_usernames_are_valid_at_instagram() -> None:
    for person in crowd(1000, 7):
        username = person.username
        if username and not username.startswith("UNKNOWN"):
            assert username.isascii()
            assert username == username.lower()
            assert all(character.isalnum() or character in "._" for character in username)


def test_every_awkward_case_occurs_and_most_contacts_are_ordinary() -> None:
    people = crowd(1000, 7)
    ordinary = [person for person in people if person.username and person.name and not person.error]
    assert len(ordinary) > 700
    assert {None, "230", "9010", "100-33", "2"} == {person.error for person in people}
    assert any(person.username is None and person.name for person in people)
    assert any(person.username is None and person.name is None for person in people)
    assert any(person.null_fields for person in people)
    assert any(person.refused_field for person in people)
    assert any(not (person.name or "x").isascii() for person in people)
