"""Sessions that a user signed out of."""

from datetime import timedelta

from flask import Flask
from sqlalchemy import update

from app import audit, clock
from app.audit import Action, AuditFilter
from app.db import transaction
from app.models.account import Account, AccountState
from app.users import sessions, sign_in, users
from app.users.users import StaffUser
from app.viewer import OPERATOR, Role, VisibleAccount
from tests.factories import ATELIER_NORD, MAISON_LUNE, an_account


def test_an_ended_session_stays_ended_and_others_go_on(app: Flask) -> None:
    nadia = users.add_user(OPERATOR, "nadia@example.com", role=Role.AGENT, password="a moonlit correct horse")
    for _ in range(2):  # a double click
        sessions.end(nadia.viewer(), "laptop")
    assert sign_in.by_session_key(nadia.session_key, "laptop") is None
    assert sign_in.by_session_key(nadia.session_key, "phone") == nadia
    entries, _ = audit.page(OPERATOR, AuditFilter(action=Action.SESSION_ENDED))
    assert {entry.actor for entry in entries} == {"user 1"}


def test_an_ended_session_is_kept_as_long_as_a_cookie_may_live(app: Flask) -> None:
    nadia = users.add_user(OPERATOR, "nadia@example.com", role=Role.AGENT, password="a moonlit correct horse")
    sessions.end(nadia.viewer(), "laptop")
    with transaction.write() as tx:
        assert sessions.purge(tx, clock.now() + sessions.MAX_AGE - timedelta(minutes=1)) == 0
        assert sessions.purge(tx, clock.now() + sessions.MAX_AGE + timedelta(minutes=1)) == 1


def test_a_session_brings_the_accounts_that_its_user_may_select(app: Flask) -> None:
    ours, other, gone = an_account(MAISON_LUNE), an_account(ATELIER_NORD), an_account("17841400000000303")
    with transaction.write() as tx:
        tx.execute(update(Account).where(Account.id == other.id).values(state=AccountState.RECONNECT, username=None))
        tx.execute(update(Account).where(Account.id == gone.id).values(state=AccountState.DELETING))
    password = "a moonlit correct horse"
    every = users.add_user(OPERATOR, "every@example.com", role=Role.AGENT, password=password)
    one = users.add_user(OPERATOR, "one@example.com", role=Role.AGENT, password=password, account_ids=[other.id])
    none = users.add_user(OPERATOR, "none@example.com", role=Role.AGENT, password=password, account_ids=[])
    lune = VisibleAccount(ours.id, MAISON_LUNE, "maison.lune", reconnect=False)
    nord = VisibleAccount(other.id, ATELIER_NORD, ATELIER_NORD, reconnect=True)
    assert accounts_of(every) == (lune, nord)
    assert accounts_of(one) == (nord,)
    assert accounts_of(none) == ()


def test_before_the_first_account_a_session_has_none(app: Flask) -> None:
    nadia = users.add_user(OPERATOR, "nadia@example.com", role=Role.AGENT, password="a moonlit correct horse")
    assert accounts_of(nadia) == ()


def accounts_of(user: StaffUser) -> tuple[VisibleAccount, ...]:
    """Return the accounts of a session of this user."""
    found = sign_in.find_session(user.session_key)
    assert found is not None
    assert found.user == user
    return found.accounts
