"""Adding, changing and disabling users."""

import threading
from contextlib import suppress
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from app.db.engine import db
from app.errors import Conflict, Forbidden, Invalid, NotFound
from app.models.user import User
from app.users import passwords, sign_in, users
from app.viewer import OPERATOR, Role, Viewer

GOOD = "a moonlit correct horse"
AGENT = Viewer(user_id=1, name="Nadia", role=Role.AGENT)


def test_a_new_user_may_sign_in_with_any_case_of_the_email_address(app: Flask) -> None:
    added = users.add_user(OPERATOR, " Nadia@Example.com ", role=Role.OPS, password=GOOD)
    assert (added.email, added.role, added.account_ids) == ("nadia@example.com", Role.OPS, None)
    assert sign_in.authenticate("NADIA@example.com", GOOD) is not None


def test_the_password_is_kept_as_a_hash_only(app: Flask) -> None:
    users.add_user(OPERATOR, "nadia@example.com", role=Role.OPS, password=GOOD)
    [row] = db.session.scalars(select(User)).all()
    assert GOOD not in repr(vars(row))
    assert row.password_hash.startswith("$argon2id$")


@pytest.mark.parametrize(
    "email",
    [
        *("", "nadia", "a b@c", "nadia@", "@example.com", "n\x00@example.com", "x" * 300 + "@b"),
        *("\u212aim@example.com", "nad\u0131a@example.com", "\u00a0nadia@example.com", "nadia@example.\uff43om"),
    ],
)
def test_a_malformed_email_address_is_refused(app: Flask, email: str) -> None:
    with pytest.raises(Invalid) as refused:
        users.add_user(OPERATOR, email, role=Role.AGENT, password=GOOD)
    assert list(refused.value.fields) == ["email"]


@pytest.mark.parametrize("email", ["\u212aim@example.com", "\u2003kim@example.com", "kim@example.com\u0130"])
def test_an_email_address_with_confusing_characters_is_not_the_ascii_one(app: Flask, email: str) -> None:
    users.add_user(OPERATOR, "kim@example.com", role=Role.AGENT, password=GOOD)
    assert sign_in.authenticate(email, GOOD) is None
    assert sign_in.sso_sign_in(email) is None
    with pytest.raises(NotFound):
        users.disable(OPERATOR, email)


def test_an_email_address_is_added_once(app: Flask) -> None:
    users.add_user(OPERATOR, "nadia@example.com", role=Role.OPS, password=GOOD)
    with pytest.raises(Invalid):
        users.add_user(OPERATOR, "Nadia@example.com", role=Role.ADMIN, password=GOOD)
    assert [person.role for person in users.list_users(OPERATOR)] == [Role.OPS]


def test_a_weak_password_adds_no_user(app: Flask) -> None:
    with pytest.raises(Invalid):
        users.add_user(OPERATOR, "nadia@example.com", role=Role.OPS, password="admin")
    assert users.list_users(OPERATOR) == []


def test_a_new_password_ends_every_session(app: Flask) -> None:
    before = users.add_user(OPERATOR, "nadia@example.com", role=Role.OPS, password=GOOD)
    users.change_password(OPERATOR, "nadia@example.com", password=GOOD + "!")
    assert sign_in.by_session_key(before.session_key) is None
    assert sign_in.authenticate("nadia@example.com", GOOD) is None
    assert sign_in.authenticate("nadia@example.com", GOOD + "!") is not None


def test_a_disabled_user_is_signed_out_immediately(app: Flask) -> None:
    before = users.add_user(OPERATOR, "nadia@example.com", role=Role.AGENT, password=GOOD)
    users.disable(OPERATOR, "nadia@example.com")
    assert sign_in.by_session_key(before.session_key) is None
    assert sign_in.authenticate("nadia@example.com", GOOD) is None
    assert users.by_email(OPERATOR, "nadia@example.com").disabled_at is not None


def test_the_last_admin_stays(app: Flask) -> None:
    users.add_user(OPERATOR, "one@example.com", role=Role.ADMIN, password=GOOD)
    with pytest.raises(Conflict):
        users.disable(OPERATOR, "one@example.com")
    users.add_user(OPERATOR, "two@example.com", role=Role.ADMIN, password=GOOD)
    users.disable(OPERATOR, "one@example.com")
    with pytest.raises(Conflict):
        users.disable(OPERATOR, "two@example.com")


@pytest.mark.parametrize("change", ["disable", "demote"])
def test_of_two_admins_who_remove_each_other_at_the_same_time_one_stays(
    app: Flask, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    emails = ["one@example.com", "two@example.com"]
    for email in emails:
        users.add_user(OPERATOR, email, role=Role.ADMIN, password=GOOD)
    both_checked, original, refused = threading.Barrier(2, timeout=0.5), users._change, []

    def after_both_checked(*arguments: Any, **values: Any) -> None:
        with suppress(threading.BrokenBarrierError):
            both_checked.wait()
        original(*arguments, **values)

    def remove(email: str) -> None:
        with app.app_context():
            try:
                if change == "disable":
                    users.disable(OPERATOR, email)
                else:
                    users.change_access(OPERATOR, email, role=Role.OPS)
            except Conflict:
                refused.append(email)

    # The race is between the check and the change, and nothing public runs there.
    monkeypatch.setattr(users, "_change", after_both_checked)
    threads = [threading.Thread(target=remove, args=[email]) for email in emails]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    db.session.rollback()  # ends the snapshot of before
    admins = [user for user in users.list_users(OPERATOR) if user.role is Role.ADMIN and user.disabled_at is None]
    assert [admin.email for admin in admins] == refused
    assert len(refused) == 1


def test_unknown_users_are_not_found(app: Flask) -> None:
    with pytest.raises(NotFound):
        users.change_password(OPERATOR, "nobody@example.com", password=GOOD)
    with pytest.raises(NotFound):
        users.disable(OPERATOR, "nobody@example.com")


def test_only_admins_manage_users(app: Flask) -> None:
    with pytest.raises(Forbidden):
        users.add_user(AGENT, "nadia@example.com", role=Role.ADMIN, password=GOOD)
    with pytest.raises(Forbidden):
        users.list_users(AGENT)


def test_the_first_admin_gets_a_random_password_once(app: Flask) -> None:
    made = users.first_admin()
    assert made is not None
    email, password = made
    assert email == "admin@nametag.local"
    passwords.require_good(password)
    admin = sign_in.authenticate(email, password)
    assert admin is not None
    assert admin.role is Role.ADMIN
    assert users.first_admin() is None


def test_of_two_first_starts_one_makes_the_admin(app: Flask) -> None:
    made: list[tuple[str, str] | None] = []

    def start() -> None:
        with app.app_context():
            made.append(users.first_admin())

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([one for one in made if one]) == 1
    assert len(users.list_users(OPERATOR)) == 1


def test_users_do_not_print_their_session_key(app: Flask) -> None:
    person = users.add_user(OPERATOR, "nadia@example.com", role=Role.OPS, password=GOOD)
    assert person.session_key not in repr(person)
