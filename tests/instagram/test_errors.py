"""Every documented error is classified by code and subcode, whatever its status and message."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.instagram import errors
from app.instagram.errors import Reason, Scope
from tests.instagram.graph import sample

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)

SAMPLES = {
    "profile-error-2": (Scope.NETWORK, Reason.TEMPORARY, "2"),
    "profile-error-4": (Scope.APP, Reason.RATE_LIMITED, "4"),
    "profile-error-10": (Scope.ACCOUNT, Reason.PERMISSION, "10"),
    "profile-error-17": (Scope.ACCOUNT, Reason.RATE_LIMITED, "17"),
    "profile-error-100": (Scope.FIELD, Reason.FIELD, "100"),
    "profile-error-100-33": (Scope.CONTACT, Reason.NOT_VISIBLE, "100/33"),
    "profile-error-190": (Scope.ACCOUNT, Reason.TOKEN, "190/463"),
    "profile-error-190-460": (Scope.ACCOUNT, Reason.TOKEN, "190/460"),
    "profile-error-190-checkpoint": (Scope.ACCOUNT, Reason.TOKEN, "190/459"),
    "profile-error-190-wrong-host": (Scope.ACCOUNT, Reason.TOKEN, "190"),
    "profile-error-200": (Scope.ACCOUNT, Reason.PERMISSION, "200/2534048"),
    "profile-error-230": (Scope.CONTACT, Reason.CONSENT, "230"),
    "profile-error-613": (Scope.ACCOUNT, Reason.RATE_LIMITED, "613/2534040"),
    "profile-error-80002": (Scope.ACCOUNT, Reason.RATE_LIMITED, "80002"),
    "profile-error-80006": (Scope.ACCOUNT, Reason.RATE_LIMITED, "80006"),
    "profile-error-9010": (Scope.CONTACT, Reason.NOT_VISIBLE, "9010"),
    "conversations-error-1": (Scope.NETWORK, Reason.TEMPORARY, "1"),
    "conversations-error-3": (Scope.ACCOUNT, Reason.PERMISSION, "3"),
    "message-error-deleted": (Scope.CONTACT, Reason.NOT_VISIBLE, "9000001"),
    "send-error-access-off": (Scope.ACCOUNT, Reason.PERMISSION, "200/2534041"),
    "send-error-ambiguous": (Scope.NETWORK, Reason.TEMPORARY, "1/1357046"),
    "send-error-blocked": (Scope.CONTACT, Reason.NOT_VISIBLE, "551/1545041"),
    "send-error-no-user": (Scope.CONTACT, Reason.NOT_VISIBLE, "100/2534014"),
    "send-error-not-owner": (Scope.CONTACT, Reason.REFUSED, "100/2534037"),
    "send-error-rate": (Scope.ACCOUNT, Reason.RATE_LIMITED, "613/2534040"),
    "send-error-too-long": (Scope.CONTRACT, Reason.REFUSED, "100/2534015"),
    "send-error-window": (Scope.CONTACT, Reason.REFUSED, "10/2534022"),
    "send-error-window-page": (Scope.CONTACT, Reason.REFUSED, "10/2018278"),
}
DOCUMENTED = {
    (32, None): (Scope.ACCOUNT, Reason.RATE_LIMITED),
    (613, 1996): (Scope.ACCOUNT, Reason.RATE_LIMITED),
    (80001, None): (Scope.ACCOUNT, Reason.RATE_LIMITED),
    (10, 2534077): (Scope.ACCOUNT, Reason.TOKEN),
    (100, 2018001): (Scope.CONTACT, Reason.NOT_VISIBLE),
    (100, 2534013): (Scope.ACCOUNT, Reason.TOKEN),
    (190, 458): (Scope.ACCOUNT, Reason.TOKEN),
    (190, 492): (Scope.ACCOUNT, Reason.TOKEN),
    (36103, None): (Scope.ACCOUNT, Reason.PERMISSION),
    (100, 2018218): (Scope.CONTACT, Reason.NOT_VISIBLE),
    (100, 2018247): (Scope.ACCOUNT, Reason.PERMISSION),
    (2018218, None): (Scope.CONTACT, Reason.NOT_VISIBLE),
    (2018247, None): (Scope.ACCOUNT, Reason.PERMISSION),
}


def classify(
    error: dict[str, Any] | None,
    *,
    status: int = 400,
    headers: dict[str, str] | None = None,
    about_contact: bool = True,
) -> errors.GraphAPIError:
    body = None if error is None else {"error": error}
    return errors.classify(status, body, headers or {}, now=NOW, about_contact=about_contact)


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_has_its_scope_reason_and_code(name: str) -> None:
    status, headers, body = sample(name)
    failure = errors.classify(status, body, headers, now=NOW)
    assert (failure.scope, failure.reason, failure.code) == SAMPLES[name]
    assert failure.http_status == status
    assert failure.sentence
    assert not failure.sentence.endswith(".")


@pytest.mark.parametrize("code", DOCUMENTED)
def test_documented_codes_without_a_sample_are_known_too(code: tuple[int, int | None]) -> None:
    failure = classify({"code": code[0], "error_subcode": code[1], "message": "any"})
    assert (failure.scope, failure.reason) == DOCUMENTED[code]


@pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 429, 500, 503])
def test_the_code_takes_precedence_over_the_status(status: int) -> None:
    assert classify({"code": 230, "message": "(#4) Application request limit reached"}, status=status).code == "230"


def test_message_and_type_alone_are_not_classified() -> None:
    failure = classify({"type": "OAuthException", "message": "Invalid OAuth access token - Cannot parse access token"})
    assert failure.scope is Scope.CONTRACT


def test_a_token_of_the_other_login_type_is_distinguished_from_an_expired_one() -> None:
    status, headers, body = sample("profile-error-190-wrong-host")
    assert "other login type" in errors.classify(status, body, headers, now=NOW).sentence


@pytest.mark.parametrize(
    "error",
    [
        {"code": 190, "error_subcode": 459, "message": ""},
        {"code": 190, "message": "You cannot access the app till you log in to www.instagram.com and follow"},
        {"code": 190, "message": "Session key is malformed because of invalid user id"},
    ],
)
def test_a_checkpoint_requires_the_owner_to_log_in_first(error: dict[str, Any]) -> None:
    assert "owner to log in" in classify(error).sentence


def test_the_refused_field_is_returned() -> None:
    status, headers, body = sample("profile-error-100")
    assert errors.classify(status, body, headers, now=NOW).field == "profile_pic"


def test_another_bad_parameter_is_not_a_refused_field() -> None:
    failure = classify({"code": 100, "message": "(#100) param limit must be an integer"})
    assert (failure.scope, failure.reason, failure.field) == (Scope.CONTRACT, Reason.REFUSED, None)


def test_no_such_object_concerns_a_contact_only_in_a_call_about_a_contact() -> None:
    assert classify({"code": 100, "error_subcode": 33}, about_contact=False).scope is Scope.ACCOUNT


def test_an_unknown_code_is_a_bad_answer_unless_meta_calls_it_transient() -> None:
    assert classify({"code": 4711}).reason is Reason.BAD_ANSWER
    assert classify({"code": 4711, "is_transient": True}).reason is Reason.TEMPORARY


@pytest.mark.parametrize(
    ("status", "reason"),
    [(400, Reason.BAD_ANSWER), (200, Reason.BAD_ANSWER), (429, Reason.RATE_LIMITED), (502, Reason.TEMPORARY)],
)
def test_without_an_error_object_the_status_decides(status: int, reason: Reason) -> None:
    assert classify(None, status=status).reason is reason


@pytest.mark.parametrize("code", ["190", True, 1.5, None, -1, 10**30, [], {}])
def test_a_code_that_is_not_a_whole_number_is_ignored(code: object) -> None:
    assert classify({"code": code}).reason is Reason.BAD_ANSWER


@pytest.mark.parametrize("error", [{"error": "text"}, {"error": []}, {"error": None}, {}])
def test_an_error_of_the_wrong_shape_is_a_bad_answer(error: dict[str, Any]) -> None:
    assert errors.classify(400, error, {}, now=NOW).reason is Reason.BAD_ANSWER


def test_retry_follows_metas_minutes() -> None:
    status, headers, body = sample("profile-error-80002")
    failure = errors.classify(status, body, headers, now=NOW, account_ids=["17841400000000101"])
    assert failure.retry_at == NOW + timedelta(minutes=19)


def test_retry_follows_the_retry_after_header_if_present() -> None:
    assert classify({"code": 613}, headers={"retry-after": "30"}).retry_at == NOW + timedelta(seconds=30)
    assert classify({"code": 613}, headers={"retry-after": "soon"}).retry_at is None
    assert classify({"code": 613}).retry_at is None


def test_metas_message_is_never_repeated() -> None:
    failure = classify({"code": 190, "message": "Malformed access token IGAAcanary"})
    assert "canary" not in f"{failure} {failure.sentence} {failure!r}"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("230", Reason.CONSENT),
        ("100/33", Reason.NOT_VISIBLE),
        ("80002", Reason.RATE_LIMITED),
        ("timeout", Reason.TIMEOUT),
        ("http 503", Reason.TEMPORARY),
        ("http 429", Reason.RATE_LIMITED),
        ("no_token", Reason.TOKEN),
        ("other_id", Reason.BAD_ANSWER),
        ("", Reason.BAD_ANSWER),
    ],
)
def test_a_stored_code_gives_its_reason(code: str, reason: Reason) -> None:
    assert errors.reason_from_code(code) is reason
