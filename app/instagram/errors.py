"""Classify error responses from Meta: scope, reason and retry time.

Based on `code` and `error_subcode` (docs/meta-platform.md#errors); the HTTP status counts only without an error object.
Meta's message is read for a few documented errors and never repeated, because it can quote a token.

scope     what fails                     reasons                        what follows
--------  -----------------------------  -----------------------------  ----------------------------------------------
APP       every account                  rate_limited                   wait for Meta's time, else the circuit breaker's
ACCOUNT   this account                   rate_limited                   the same, for this account
                                         token                          wait until the account is reconnected
                                         permission                     probe occasionally (calls/refusals.py)
CONTACT   one contact or message         consent                        wait for the contact's next message
                                         not_visible, no_name,          retry later (identities/failure_policy.py)
                                         placeholder
                                         refused                        do not repeat
FIELD     one field                      field                          repeat the call without it
NETWORK   calls of this account          timeout, network, temporary    retry; 5 in a row open the circuit breaker
CONTRACT  this response                  bad_answer, refused            store no name; 5 in a row open the breaker
"""

import re
from collections.abc import Collection, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from app.instagram import usage_headers
from app.instagram.usage_headers import NO_USAGE, Usage


class Scope(StrEnum):
    """What a failure affects."""

    APP = "app"
    ACCOUNT = "account"
    CONTACT = "contact"
    FIELD = "field"
    NETWORK = "network"
    CONTRACT = "contract"


class Reason(StrEnum):
    """Why a call failed. Rows store these values; pages explain them."""

    CONSENT = "consent"
    NOT_VISIBLE = "not_visible"
    NO_NAME = "no_name"
    PLACEHOLDER = "placeholder"
    RATE_LIMITED = "rate_limited"
    TIMEOUT = "timeout"
    NETWORK = "network"
    TEMPORARY = "temporary"
    TOKEN = "token"  # noqa: S105 - a reason, not a token
    PERMISSION = "permission"
    FIELD = "field"
    REFUSED = "refused"
    BAD_ANSWER = "bad_answer"


SENTENCES: Mapping[str, str] = {
    Reason.CONSENT: "Instagram does not share this profile until the contact messages this account",
    Reason.NOT_VISIBLE: "Profile not available: the contact blocked this account or was deleted",
    Reason.NO_NAME: "Instagram returned neither a username nor a name",
    Reason.PLACEHOLDER: "Instagram sent a placeholder instead of a name",
    Reason.RATE_LIMITED: "Instagram's rate limit was reached",
    Reason.TIMEOUT: "Instagram did not answer in time",
    Reason.NETWORK: "Instagram could not be reached",
    Reason.TEMPORARY: "Instagram has a temporary problem",
    Reason.TOKEN: "The account's access token is no longer valid. Reconnect the account",
    Reason.PERMISSION: "A required permission is missing. Reconnect the account and grant every permission",
    Reason.FIELD: "Instagram refused one of the requested fields",
    Reason.REFUSED: "Instagram rejected the request. Retrying will not help",
    Reason.BAD_ANSWER: "Instagram's answer could not be understood",
}


class GraphAPIError(Exception):
    """A call to Meta failed.

    `code` has at most 32 characters ("230", "100/33", "timeout"), `sentence` is for users, without a full stop.
    `retry_at` (aware UTC) is the time that Meta named, or None. `field` is a field that Meta refused by name: always
    set in scope FIELD, else a webhook field with a missing permission. `raw` holds the storable parts of the response.
    """

    raw: dict[str, Any] | None = None
    contacts: frozenset[str] = frozenset()  # earlier failed lookups of these contacts had the same cause

    def __init__(
        self,
        scope: Scope,
        reason: Reason,
        code: str,
        sentence: str | None = None,
        *,
        http_status: int | None = None,
        retry_at: datetime | None = None,
        field: str | None = None,
        usage: Usage = NO_USAGE,
    ) -> None:
        self.sentence = sentence or SENTENCES[reason]
        super().__init__(f"{self.sentence} ({code})")
        self.scope = scope
        self.reason = reason
        self.code = code
        self.http_status = http_status
        self.retry_at = retry_at
        self.field = field
        self.usage = usage

    @property
    def message(self) -> str:
        """Meta's error message, or empty. It can quote a token, so redact it before showing it."""
        error = (self.raw or {}).get("error")
        message = error.get("message") if isinstance(error, Mapping) else None
        return message if isinstance(message, str) else ""


_Classification = tuple[Scope, Reason, str | None]
_LOG_IN_FIRST = "Instagram requires the account owner to log in and confirm their identity. Then reconnect the account"
_OTHER_LOGIN = (
    "This token was issued for the other login type (Instagram or Facebook) or is incomplete."
    " Check the login type, then reconnect the account"
)
_RATE: _Classification = (Scope.ACCOUNT, Reason.RATE_LIMITED, None)
_TOKEN: _Classification = (Scope.ACCOUNT, Reason.TOKEN, None)
_GONE: _Classification = (Scope.CONTACT, Reason.NOT_VISIBLE, None)
_TEMPORARY: _Classification = (Scope.NETWORK, Reason.TEMPORARY, None)
_BAD: _Classification = (Scope.CONTRACT, Reason.BAD_ANSWER, None)
_NO_PERMISSION: _Classification = (
    Scope.ACCOUNT,
    Reason.PERMISSION,
    "The account's access token lacks a permission. Reconnect the account",
)
AMBIGUOUS = (100, 33)  # a missing contact; during an outage Meta returns it for every contact

_BY_CODE: dict[int, _Classification] = {
    1: _TEMPORARY,
    2: _TEMPORARY,
    3: (
        Scope.ACCOUNT,
        Reason.PERMISSION,
        "The Meta app is not allowed to use this feature. Check its use case and App Review in Meta's App Dashboard",
    ),
    4: (Scope.APP, Reason.RATE_LIMITED, "The Meta app's rate limit was reached"),
    10: _NO_PERMISSION,
    17: _RATE,
    32: _RATE,
    100: (Scope.CONTRACT, Reason.REFUSED, None),
    190: _TOKEN,
    200: (
        Scope.ACCOUNT,
        Reason.PERMISSION,
        "The Meta app lacks Advanced Access or a permission. Check App Review in Meta's App Dashboard,"
        " then reconnect the account",
    ),
    230: (Scope.CONTACT, Reason.CONSENT, None),
    551: (Scope.CONTACT, Reason.NOT_VISIBLE, "This contact is not available right now"),
    613: _RATE,
    9010: _GONE,
    36103: (Scope.ACCOUNT, Reason.PERMISSION, "Meta has not enabled this feature for the account yet"),
    2018218: _GONE,
    2018247: _NO_PERMISSION,
    9000001: (Scope.CONTACT, Reason.NOT_VISIBLE, "The message was deleted or is too old to be read"),
}
_BY_SUBCODE: dict[tuple[int, int], _Classification] = {
    (10, 2534022): (Scope.CONTACT, Reason.REFUSED, "The 24-hour window has closed"),
    (10, 2018278): (Scope.CONTACT, Reason.REFUSED, "The 24-hour window has closed"),
    (10, 2534077): (Scope.ACCOUNT, Reason.TOKEN, "Meta cannot verify the link between account and Page. Reconnect"),
    AMBIGUOUS: _GONE,
    (100, 2018218): _GONE,
    (100, 2018247): _NO_PERMISSION,
    (100, 2018001): _GONE,
    (100, 2534014): _GONE,
    (100, 2534013): (
        Scope.ACCOUNT,
        Reason.TOKEN,
        "The Page is not linked to an Instagram account. Link them, then reconnect the account",
    ),
    (100, 2534037): (Scope.CONTACT, Reason.REFUSED, "Another app controls this conversation"),
    (190, 459): (Scope.ACCOUNT, Reason.TOKEN, _LOG_IN_FIRST),
    (200, 2534041): (
        Scope.ACCOUNT,
        Reason.PERMISSION,
        'Message access is turned off. The account owner can turn on "Allow access to messages" in Instagram',
    ),
}
_OWN_CODES = {
    **dict.fromkeys(("unreadable", "no_token", "no_account", "other_account"), Reason.TOKEN),
    **dict.fromkeys(("person", "system_user"), Reason.TOKEN),
    **{"id": Reason.REFUSED, "empty": Reason.NO_NAME},
}
_BUSINESS_LIMITS = range(80000, 80100)  # 80001 Pages, 80002 Instagram, 80006 Messenger, others alike
_REFUSED_FIELD = re.compile(
    r"nonexisting field \((\w{1,64})\)|subscribed_fields\[\d+\].* - got [\"'](\w{1,64})[\"']", re.DOTALL
)
_FORBIDDEN_FIELD = re.compile(r"[Tt]o subscribe to the (\w{1,64}) field")
_NOT_LIVE = "Unsupported request - method type"  # for every request of an app that is restricted or not live
_RESTRICTED = "Meta refuses every request of the app: it is restricted or not live. Check it in Meta's App Dashboard"
_OTHER_APP = (
    "The access token and the app secret do not match."
    " The first entry of META_APP_SECRETS must be the secret of the app that issued this token"
)
_TOKEN_TEXTS = (
    ("cannot access the app till you log in", _LOG_IN_FIRST),
    ("Session key is malformed", _LOG_IN_FIRST),
    ("Cannot parse access token", _OTHER_LOGIN),
)


def classify(
    http_status: int,
    body: Mapping[str, Any] | None,
    headers: Mapping[str, str],
    *,
    now: datetime,
    account_ids: Collection[str] = (),
    about_contact: bool = True,
) -> GraphAPIError:
    """Return the failure that an error response means; `body` is its JSON object or None, header names are lower-case.

    `account_ids` select the usage figures of the called account. `about_contact` says whether the call was about one
    contact: only then does "no such object" mean a missing contact.
    """
    usage = usage_headers.parse_usage(headers, now=now, account_ids=account_ids)
    error = body.get("error") if body else None
    code, subcode, message = _error_fields(error) if isinstance(error, Mapping) else (None, None, "")
    field = _refused_field(code, subcode, message)
    transient = isinstance(error, Mapping) and error.get("is_transient") is True
    scope, reason, sentence = _classify_code(http_status, code, subcode, transient=transient)
    if field and code == 100:
        scope, reason, sentence = Scope.FIELD, Reason.FIELD, f"Instagram refused the field {field}"
    elif code == 100 and message.startswith(_NOT_LIVE):
        scope, reason, sentence = Scope.ACCOUNT, Reason.PERMISSION, _RESTRICTED
    elif code == 100 and "appsecret_proof" in message:
        sentence = _OTHER_APP
    elif code == 190:
        sentence = next((known for part, known in _TOKEN_TEXTS if part in message), sentence)
    elif scope is Scope.CONTACT and not about_contact:
        scope, reason, sentence = (
            Scope.ACCOUNT,
            Reason.PERMISSION,
            "The requested object does not exist or is not accessible",
        )
    named = usage_headers.retry_after(headers, now=now)
    return GraphAPIError(
        scope,
        reason,
        _code_text(http_status, code, subcode),
        sentence,
        http_status=http_status,
        retry_at=(usage.regain_at or named) if reason is Reason.RATE_LIMITED else named,
        field=field,
        usage=usage,
    )


def reason_from_code(code: str) -> Reason:
    """Return why a call failed, from the code that its row stores."""
    number, _, subcode = code.removeprefix("http ").partition("/")
    if code in set(Reason):
        return Reason(code)
    if not number.isdigit():
        return _OWN_CODES.get(code, Reason.BAD_ANSWER)
    if code != number and not subcode:
        return _classify_code(int(number), None, None, transient=False)[1]
    return _classify_code(0, int(number), int(subcode or 0), transient=False)[1]


def bad_response(code: str, sentence: str | None = None, *, http_status: int | None = None) -> GraphAPIError:
    """Return the failure of an invalid response: not JSON, wrong types, another contact's profile."""
    return GraphAPIError(Scope.CONTRACT, Reason.BAD_ANSWER, code, sentence, http_status=http_status)


def _error_fields(error: Mapping[str, Any]) -> tuple[int | None, int | None, str]:
    message = error.get("message")
    return (
        _whole_number(error.get("code")),
        _whole_number(error.get("error_subcode")),
        message if isinstance(message, str) else "",
    )


def _whole_number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**12 else None


def _refused_field(code: int | None, subcode: int | None, message: str) -> str | None:
    if code != 100:
        return _first_group(_FORBIDDEN_FIELD.search(message))
    return _first_group(_REFUSED_FIELD.search(message)) if subcode is None else None


def _first_group(found: re.Match[str] | None) -> str | None:
    return next((group for group in found.groups() if group), None) if found else None


def _classify_code(http_status: int, code: int | None, subcode: int | None, *, transient: bool) -> _Classification:
    if code is None:
        return _RATE if http_status == 429 else _TEMPORARY if http_status >= 500 else _BAD
    if code in _BUSINESS_LIMITS:
        return _RATE
    unknown = _TEMPORARY if transient else _BAD
    return _BY_SUBCODE.get((code, subcode or 0)) or _BY_CODE.get(code, unknown)


def _code_text(http_status: int, code: int | None, subcode: int | None) -> str:
    if code is None:
        return f"http {http_status}"
    return f"{code}/{subcode}" if subcode else str(code)
