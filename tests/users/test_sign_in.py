"""Sign-in with a password, and by the key of a session."""

import statistics
import time

from flask import Flask

from app.users import sign_in, users
from app.viewer import OPERATOR, Role

GOOD = "a moonlit correct horse"


def test_the_right_password_signs_in_and_is_noted(app: Flask) -> None:
    users.add_user(OPERATOR, "nadia@example.com", role=Role.AGENT, password=GOOD)
    person = sign_in.authenticate("nadia@example.com", GOOD)
    assert person is not None
    assert person.last_sign_in_at is not None
    assert sign_in.by_session_key(person.session_key) == person


def test_a_wrong_password_and_an_unknown_user_cannot_sign_in(app: Flask) -> None:
    users.add_user(OPERATOR, "nadia@example.com", role=Role.AGENT, password=GOOD)
    assert sign_in.authenticate("nadia@example.com", "something else") is None
    assert sign_in.authenticate("nobody@example.com", GOOD) is None
    assert sign_in.authenticate("nadia\x00@example.com", GOOD) is None
    assert sign_in.by_session_key("guessed") is None


def test_an_unknown_name_costs_as_much_work_as_a_known_one(app: Flask) -> None:
    users.add_user(OPERATOR, "nadia@example.com", role=Role.AGENT, password=GOOD)

    def median(email: str) -> float:
        took: list[float] = []
        for _ in range(5):
            began = time.thread_time()
            sign_in.authenticate(email, "something else")
            took.append(time.thread_time() - began)
        return statistics.median(took)

    median("warm.up@example.com")
    known, unknown = median("nadia@example.com"), median("nobody@example.com")
    assert 0.6 < unknown / known < 1.6
