"""Sessions that a user signed out of."""

from datetime import timedelta

from flask import Flask

from app import audit, clock
from app.audit import Action, AuditFilter
from app.db import transaction
from app.users import sessions, sign_in, users
from app.viewer import OPERATOR, Role


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
