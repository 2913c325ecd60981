"""Generated contacts: the same for the same seed, with every awkward case."""

from app.sandbox.contacts import generate_contacts
from tests.factories import CAMILLE, GHOST, LEA, RUI, SHY, UNKNOWN_PERSON


def test_the_same_seed_gives_the_same_contacts() -> None:
    assert generate_contacts(200, 7) == generate_contacts(200, 7)
    assert generate_contacts(200, 7) != generate_contacts(200, 8)


def test_the_fixed_contacts_come_first() -> None:
    contacts = generate_contacts(500, 7)
    assert [contact.id for contact in contacts[:6]] == [LEA, CAMILLE, UNKNOWN_PERSON, GHOST, SHY, RUI]
    assert len({contact.id for contact in contacts}) == len(contacts)


def test_usernames_are_valid_at_instagram() -> None:
    for contact in generate_contacts(1000, 7):
        username = contact.username
        if username and not username.startswith("UNKNOWN"):
            assert username.isascii()
            assert username == username.lower()
            assert all(character.isalnum() or character in "._" for character in username)


def test_every_awkward_case_occurs_and_most_contacts_are_ordinary() -> None:
    contacts = generate_contacts(1000, 7)
    ordinary = [contact for contact in contacts if contact.username and contact.name and not contact.error]
    assert len(ordinary) > 700
    assert {None, "230", "9010", "100-33", "2"} == {contact.error for contact in contacts}
    assert any(contact.username is None and contact.name for contact in contacts)
    assert any(contact.username is None and contact.name is None for contact in contacts)
    assert any(contact.null_fields for contact in contacts)
    assert any(contact.refused_field for contact in contacts)
    assert any(not (contact.name or "x").isascii() for contact in contacts)
