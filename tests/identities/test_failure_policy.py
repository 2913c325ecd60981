"""Classifying failures, and the time of the next retry."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.identities import failure_policy
from app.identities.failure_policy import JITTER, NO_PROFILE, RETRY_DELAYS, STOP_AFTER, LookupFailure
from app.instagram.errors import GraphAPIError, Reason, Scope

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)


def a_verdict(scope: Scope = Scope.CONTACT, reason: Reason = Reason.NOT_VISIBLE) -> LookupFailure:
    return LookupFailure(reason, scope, "9010", "Gone")


@pytest.mark.parametrize("scope", list(Scope))
def test_only_failures_of_the_contact_count_against_them(scope: Scope) -> None:
    theirs = {Scope.CONTACT, Scope.FIELD, Scope.CONTRACT}
    assert a_verdict(scope).personal == (scope in theirs)


def test_classifying_keeps_the_sentence() -> None:
    failure = GraphAPIError(Scope.CONTACT, Reason.CONSENT, code="230", sentence="No consent yet", http_status=403)
    judged = failure_policy.classify(failure)
    assert (judged.reason, judged.scope, judged.code) == (Reason.CONSENT, Scope.CONTACT, "230")
    assert judged.sentence == failure.sentence


def test_waits_grow_with_every_failure_and_are_spread() -> None:
    for failures, wait in enumerate(RETRY_DELAYS[: STOP_AFTER - 1], start=1):
        moments = {failure_policy.next_try(NO_PROFILE, failures, NOW) for _ in range(20)}
        assert len(moments) > 1
        for at in moments:
            assert at is not None
            assert wait * (1 - JITTER) <= at - NOW <= wait * (1 + JITTER)


def test_after_five_failures_only_a_message_or_a_user_restarts_lookups() -> None:
    assert failure_policy.next_try(NO_PROFILE, STOP_AFTER - 1, NOW) is not None
    assert failure_policy.next_try(NO_PROFILE, STOP_AFTER, NOW) is None


def test_missing_consent_waits_for_the_next_message() -> None:
    assert failure_policy.next_try(a_verdict(reason=Reason.CONSENT), 1, NOW) is None


def test_a_failure_that_is_not_counted_still_waits_a_little() -> None:
    at = failure_policy.next_try(a_verdict(Scope.NETWORK, Reason.TIMEOUT), 0, NOW)
    assert at is not None
    assert at - NOW > timedelta(seconds=30)


def test_no_text_repeats_after_how_many_failures_retries_stop() -> None:
    files = [*(ROOT / "app").rglob("*.py"), *(ROOT / "templates").rglob("*.html")]
    written = re.compile(r"\b(?:five|5) (?:tries|lookups|failures) in a row", re.IGNORECASE)
    assert [path.name for path in files if written.search(" ".join(path.read_text().split()))] == [
        "conversation_reader.py"  # the circuit breaker's failures
    ]
