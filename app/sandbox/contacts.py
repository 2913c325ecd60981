"""Generated contacts: the same for the same seed, with all the awkward cases."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from app.sandbox.accounts import ATELIER_NORD, MAISON_LUNE


@dataclass(slots=True)
class Contact:
    """A contact of an account; `error` is the error that a call for its profile returns."""

    id: str
    account: str
    username: str | None
    name: str | None
    has_picture: bool = True
    null_fields: bool = False
    refused_field: str | None = None
    error: str | None = None
    wrote: bool = False


FIRST = (
    "Léa Camille Inès Zoé Manon Hugo Théo Amara Chidi Ngozi Zanele Sipho Yuki Haruto Sakura Björn Astrid Freya João "
    "Beatriz Rui Matteo Giulia Layla Omar Noor Анна Дмитрий Ольга Maya Priya Arjun Elif Emre Sofía Diego Nadia Oskar "
    "Tom Grace"
)
LAST = (
    "Moreau Roux Fontaine Carvalho Costa Okafor Dlamini Adebayo Tanaka Sato Ek Lindqvist Hartley Byrne Rossi Conti "
    "Haddad Mansour Иванова Соколов Patel Iyer Yilmaz Kaya García Navarro Kessler Lindgren Ward Novak"
)
ODD_NAMES = (
    "山田 花子",
    "김민준",
    "محمد العربي",
    "שרה כהן",
    "🌻 Sunny Days 🌻",
    "Dr. Oluwaseun Adebayo-Fitzgerald the Younger of Lower Hopton on Thames",
    "Z̈oë N̂åmé",
    "lea\u202emoreau",
)
LATIN = str.maketrans("éèëïöåäüçñãâêîôûíóáúžšýğş", "eeeioaaucnaaeiouioauzsygs")

# How many of a thousand contacts have which awkward property.
AWKWARD: tuple[tuple[int, dict[str, Any]], ...] = (
    (50, {"username": None}),
    (30, {"name": None}),
    (30, {"name": None, "null_fields": True}),
    (25, {"has_picture": False}),
    (25, {"has_picture": False, "null_fields": True}),
    (20, {"username": None, "name": None}),
    (40, {"error": "230"}),
    (15, {"error": "9010"}),
    (15, {"error": "100-33"}),
    (10, {"error": "2"}),
    (20, {"refused_field": "profile_pic"}),
    (10, {"username": "UNKNOWN_1", "name": "  "}),
)


def generate_contacts(number: int, seed: int) -> list[Contact]:
    """Return the fixed contacts followed by `number` generated ones, split over both accounts."""
    chance = random.Random(seed)
    return [*_fixed_contacts(), *(_random_contact(place, chance) for place in range(number))]


def _fixed_contacts() -> Iterator[Contact]:
    yield Contact("1520000000000011", MAISON_LUNE, "lea.moreau", "Léa Moreau")
    yield Contact("1520000000000033", MAISON_LUNE, None, "Camille Roux")
    yield Contact("1520000000883201", MAISON_LUNE, None, None, has_picture=False)
    yield Contact("1520000000000404", MAISON_LUNE, None, None, error="9010")
    yield Contact("1520000000000230", MAISON_LUNE, "shy.person", "Shy Person", error="230")
    yield Contact("9990000000000023", MAISON_LUNE, "rui.costa", "Rui Costa")
    yield Contact("1520000000000044", ATELIER_NORD, "tom_hartley", "Tom Hartley")


def _random_contact(place: int, chance: random.Random) -> Contact:
    account = MAISON_LUNE if place % 5 < 3 else ATELIER_NORD
    first, last = chance.choice(FIRST.split()), chance.choice(LAST.split())
    big = chance.random() < 0.1  # IDs above 2^53 occur at Meta
    contact = Contact(
        id=f"{'9' if big else '1'}{chance.randrange(10**14, 10**15)}",
        account=account,
        username=_username(first, last, place, chance),
        name=chance.choice(ODD_NAMES) if chance.random() < 0.06 else f"{first} {last}",
    )
    draw = chance.randrange(1000)
    for number, changes in AWKWARD:
        if draw < number:
            return replace(contact, **changes)
        draw -= number
    return contact


def _username(first: str, last: str, place: int, chance: random.Random) -> str:
    plain = [name.lower().translate(LATIN) for name in (first, last)]
    if not all(name.isascii() and name.isalpha() for name in plain):
        plain = ["studio", f"k{place}"]
    return chance.choice((".", "_", "")).join(plain) + chance.choice(("", "", str(chance.randrange(10, 99))))
