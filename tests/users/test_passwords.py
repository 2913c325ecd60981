"""Rules for passwords, and their verification."""

import threading

import pytest

from app.errors import Invalid, Unavailable
from app.users import passwords

GOOD = "a moonlit correct horse"


@pytest.mark.parametrize("password", ["eleven char", "", "x" * 1025, "é" * 513])
def test_a_password_is_12_to_1024_bytes_long(password: str) -> None:
    with pytest.raises(Invalid) as refused:
        passwords.require_good(password)
    assert "password" in refused.value.fields


@pytest.mark.parametrize("password", ["Password1234", "123456789012", "aaaaaaaaaaaaaaaa", "abababababababab"])
def test_a_common_password_is_refused(password: str) -> None:
    with pytest.raises(Invalid):
        passwords.require_good(password)


@pytest.mark.parametrize("password", [GOOD, "\N{SNOWMAN}\U0001f600 et accents", "tab\tand\nline break", "x1y2z" * 200])
def test_any_characters_are_allowed(password: str) -> None:
    passwords.require_good(password)
    assert passwords.verify(password, passwords.hash_password(password))


def test_a_hash_is_argon2id_with_19_mib_and_two_passes() -> None:
    assert passwords.hash_password(GOOD).startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_only_the_right_password_fits() -> None:
    stored = passwords.hash_password(GOOD)
    assert passwords.verify(GOOD, stored)
    assert not passwords.verify(GOOD + " ", stored)
    assert not passwords.verify(GOOD, None)
    assert not passwords.verify(GOOD, "no hash at all")


def test_the_same_letter_typed_in_two_ways_fits() -> None:
    assert passwords.verify("cafe\u0301 au lait svp", passwords.hash_password("caf\u00e9 au lait svp"))


def test_an_endless_password_costs_no_work() -> None:
    with pytest.raises(Invalid):
        passwords.verify("x" * 1_000_000, None)


def test_random_passwords_may_be_chosen_and_differ() -> None:
    first, second = passwords.generate(), passwords.generate()
    passwords.require_good(first)
    assert first != second


def test_a_password_check_that_waits_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = threading.BoundedSemaphore(passwords.AT_A_TIME)
    for _ in range(passwords.AT_A_TIME):
        taken.acquire()
    # Slots that real checks take would be released at an unknown time.
    monkeypatch.setattr(passwords, "_slots", taken)
    monkeypatch.setattr(passwords, "WAIT_SECONDS", 0.01)
    with pytest.raises(Unavailable):
        passwords.verify(GOOD, None)
