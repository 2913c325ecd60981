"""An answer that is not what was asked for, judged: whose fault, why, and when to come back.

Judged by `code` and `error_subcode` alone (instagram-platform.md 9). The HTTP status speaks only where there is no
error object at all; Meta's own words are read in two documented places and repeated nowhere, they may quote a token.

scope     who is stopped                     reasons                        what follows
--------  ---------------------------------  -----------------------------  ------------------------------------------
APP       every account                      rate_limited                   wait for Meta's time, else the breaker's
ACCOUNT   this account                       rate_limited                   the same, for this account
                                             token                          wait until the account is reconnected
                                             permission                     probe now and then (calls/refusals.py)
PERSON    only this person (or message)      consent                        wait for their next message
                                             not_visible, no_name,          try again later, stop after 5
                                             placeholder
                                             refused                        do not repeat
FIELD     only this field                    field                          ask again without it
NETWORK   this account, nobody's fault       timeout, network, temporary    try again; 5 in a row open the breaker
CONTRACT  this answer                        bad_answer, refused            never a name; 5 in a row open the breaker
"""

import re
from collections.abc import Collection, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from app.instagram import usage_headers
from app.instagram.usage_headers import NO_USAGE, Usage


class Scope(StrEnum):
    """Whose failure it is."""

    APP = "app"
    ACCOUNT = "account"
    PERSON = "person"
    FIELD = "field"
    NETWORK = "network"
    CONTRACT = "contract"


class Reason(StrEnum):
    """Why a call brought nothing, in the words that rows keep and pages explain."""

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
    Reason.CONSENT: "This person has not agreed to share a profile; consent comes with their next message",
    Reason.NOT_VISIBLE: "Instagram shows nobody under this id: they blocked the account or no longer exist",
    Reason.NO_NAME: "Instagram answered without a username and without a name",
    Reason.PLACEHOLDER: "Instagram sent a placeholder instead of a name",
    Reason.RATE_LIMITED: "Instagram's limit of calls is reached",
    Reason.TIMEOUT: "Instagram did not answer in time",
    Reason.NETWORK: "Instagram could not be reached",
    Reason.TEMPORARY: "Instagram has a temporary problem",
    Reason.TOKEN: "Instagram no longer accepts the account's token; reconnect the account",
    Reason.PERMISSION: "A permission is missing at Meta",
    Reason.FIELD: "Instagram refused one of the fields asked for",
    Reason.REFUSED: "Instagram refused the request; repeating it would not help",
    Reason.BAD_ANSWER: "Instagram's answer could not be understood",
}


def describe(reason: str) -> str:
    """Return the sentence about a reason as rows keep it, also about one that only a newer release knows."""
    return SENTENCES.get(reason, "Other reason, recorded by a newer version of Nametag")


class GraphAPIError(Exception):
    """A call brought nothing. `code` is a word of at most 32 characters ("230", "100/33", "timeout"), `sentence` is
    fit for people, `retry_at` (aware UTC) is the time Meta named or None, `field` is the field that Meta refuses by
    name: always in scope FIELD, else a webhook field that a permission is missing for. `raw` is what may be kept of the
    answer, where there was one.
    """

    raw: dict[str, Any] | None = None
    contacts: frozenset[str] = frozenset()  # blamed before, whose failure this turned out to be

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
        """Meta's own words, empty where there are none; they may quote a token, so redact them before showing them."""
        said = (self.raw or {}).get("error")
        words = said.get("message") if isinstance(said, Mapping) else None
        return words if isinstance(words, str) else ""


_Verdict = tuple[Scope, Reason, str | None]
_LOG_IN_FIRST = "The account's owner must log in at Instagram and follow its instructions, then reconnect the account"
_OTHER_LOGIN = (
    "This token belongs to the other kind of login (Instagram or Facebook) or is damaged; reconnect the account"
)
_RATE: _Verdict = (Scope.ACCOUNT, Reason.RATE_LIMITED, None)
_TOKEN: _Verdict = (Scope.ACCOUNT, Reason.TOKEN, None)
_GONE: _Verdict = (Scope.PERSON, Reason.NOT_VISIBLE, None)
_TEMPORARY: _Verdict = (Scope.NETWORK, Reason.TEMPORARY, None)
_BAD: _Verdict = (Scope.CONTRACT, Reason.BAD_ANSWER, None)
_NO_PERMISSION: _Verdict = (
    Scope.ACCOUNT,
    Reason.PERMISSION,
    "The account's token lacks a permission; reconnect the account",
)
AMBIGUOUS = (100, 33)  # means a missing contact, but in an outage Meta gives this answer for every contact

_BY_CODE: dict[int, _Verdict] = {
    1: _TEMPORARY,
    2: _TEMPORARY,
    3: (
        Scope.ACCOUNT,
        Reason.PERMISSION,
        "The app lacks a capability at Meta; request it in Meta's app dashboard (App Review)",
    ),
    4: (Scope.APP, Reason.RATE_LIMITED, "Instagram's limit of calls for the whole app is reached"),
    10: _NO_PERMISSION,
    17: _RATE,
    32: _RATE,
    100: (Scope.CONTRACT, Reason.REFUSED, None),
    190: _TOKEN,
    200: (
        Scope.ACCOUNT,
        Reason.PERMISSION,
        "The app lacks Advanced Access or a permission at Meta; check App Review in Meta's app dashboard,"
        " then reconnect the account",
    ),
    230: (Scope.PERSON, Reason.CONSENT, None),
    551: (Scope.PERSON, Reason.NOT_VISIBLE, "This person is not available right now"),
    613: _RATE,
    9010: _GONE,
    36103: (Scope.ACCOUNT, Reason.PERMISSION, "The account is not eligible for this at Meta yet"),
    2018218: _GONE,
    2018247: _NO_PERMISSION,
    9000001: (Scope.PERSON, Reason.NOT_VISIBLE, "The message was deleted, or is too old to be read"),
}
_BY_SUBCODE: dict[tuple[int, int], _Verdict] = {
    (10, 2534022): (Scope.PERSON, Reason.REFUSED, "The 24 hours for an answer are over"),
    (10, 2018278): (Scope.PERSON, Reason.REFUSED, "The 24 hours for an answer are over"),
    (10, 2534077): (Scope.ACCOUNT, Reason.TOKEN, "Meta cannot verify how account and Page are linked; reconnect"),
    AMBIGUOUS: _GONE,
    (100, 2018218): _GONE,
    (100, 2018247): _NO_PERMISSION,
    (100, 2018001): _GONE,
    (100, 2534014): _GONE,
    (100, 2534013): (Scope.ACCOUNT, Reason.TOKEN, "The Page has no Instagram account; reconnect the account"),
    (100, 2534037): (Scope.PERSON, Reason.REFUSED, "Another app answers this conversation right now"),
    (190, 459): (Scope.ACCOUNT, Reason.TOKEN, _LOG_IN_FIRST),
    (200, 2534041): (Scope.ACCOUNT, Reason.PERMISSION, "The owner switched off access to messages in Instagram"),
}
_OURS = {
    **dict.fromkeys(("unreadable", "no_token", "no_account", "other_account"), Reason.TOKEN),
    **dict.fromkeys(("person", "system_user"), Reason.TOKEN),
    **{"id": Reason.REFUSED, "empty": Reason.NO_NAME},
}
_BUSINESS_LIMITS = range(80000, 80100)  # 80001 Pages, 80002 Instagram, 80006 Messenger, others alike
_REFUSED_FIELD = re.compile(
    r"nonexisting field \((\w{1,64})\)|subscribed_fields\[\d+\].* - got [\"'](\w{1,64})[\"']", re.DOTALL
)
_FORBIDDEN_FIELD = re.compile(r"[Tt]o subscribe to the (\w{1,64}) field")
_NOT_LIVE = "Unsupported request - method type"  # whatever is asked for, by an app that is restricted or not live
_RESTRICTED = "Meta refuses every request of the app: it is restricted or not live; check it in Meta's app dashboard"
_OTHER_APP = "The token is another app's than the first of META_APP_SECRETS belongs to, or that secret is wrong"
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
    of_person: bool = True,
) -> GraphAPIError:
    """Return what an unsuccessful answer means; `body` is its JSON object if it has one, header names are lower-case.

    `account_ids` are those of the account that the call was made for, whose usage counts.
    `of_person` says whether one person was asked about: only then can "no such object" be that person's fault.
    """
    usage = usage_headers.parse_usage(headers, now=now, account_ids=account_ids)
    error = body.get("error") if body else None
    code, subcode, message = _said(error) if isinstance(error, Mapping) else (None, None, "")
    field = _refused_field(code, subcode, message)
    transient = isinstance(error, Mapping) and error.get("is_transient") is True
    scope, reason, sentence = _verdict(http_status, code, subcode, transient=transient)
    if field and code == 100:
        scope, reason, sentence = Scope.FIELD, Reason.FIELD, f"Instagram refused the field {field}"
    elif code == 100 and message.startswith(_NOT_LIVE):
        scope, reason, sentence = Scope.ACCOUNT, Reason.PERMISSION, _RESTRICTED
    elif code == 100 and "appsecret_proof" in message:
        sentence = _OTHER_APP
    elif code == 190:
        sentence = next((ours for theirs, ours in _TOKEN_TEXTS if theirs in message), sentence)
    elif scope is Scope.PERSON and not of_person:
        scope, reason, sentence = Scope.ACCOUNT, Reason.PERMISSION, "What was asked for is missing, or not permitted"
    named = usage_headers.retry_after(headers, now=now)
    return GraphAPIError(
        scope,
        reason,
        _written(http_status, code, subcode),
        sentence,
        http_status=http_status,
        retry_at=(usage.regain_at or named) if reason is Reason.RATE_LIMITED else named,
        field=field,
        usage=usage,
    )


def reason_from_code(code: str) -> Reason:
    """Return why a call failed, from the word that its row keeps."""
    number, _, subcode = code.removeprefix("http ").partition("/")
    if code in set(Reason):
        return Reason(code)
    if not number.isdigit():
        return _OURS.get(code, Reason.BAD_ANSWER)
    if code != number and not subcode:
        return _verdict(int(number), None, None, transient=False)[1]
    return _verdict(0, int(number), int(subcode or 0), transient=False)[1]


def bad_response(code: str, sentence: str | None = None, *, http_status: int | None = None) -> GraphAPIError:
    """Return the failure of an answer that breaks the rules: not JSON, wrong types, somebody else's profile."""
    return GraphAPIError(Scope.CONTRACT, Reason.BAD_ANSWER, code, sentence, http_status=http_status)


def _said(error: Mapping[str, Any]) -> tuple[int | None, int | None, str]:
    message = error.get("message")
    return _whole(error.get("code")), _whole(error.get("error_subcode")), message if isinstance(message, str) else ""


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**12 else None


def _refused_field(code: int | None, subcode: int | None, message: str) -> str | None:
    if code != 100:
        return _first_group(_FORBIDDEN_FIELD.search(message))
    return _first_group(_REFUSED_FIELD.search(message)) if subcode is None else None


def _first_group(found: re.Match[str] | None) -> str | None:
    return next((group for group in found.groups() if group), None) if found else None


def _verdict(http_status: int, code: int | None, subcode: int | None, *, transient: bool) -> _Verdict:
    if code is None:
        return _RATE if http_status == 429 else _TEMPORARY if http_status >= 500 else _BAD
    if code in _BUSINESS_LIMITS:
        return _RATE
    unknown = _TEMPORARY if transient else _BAD
    return _BY_SUBCODE.get((code, subcode or 0)) or _BY_CODE.get(code, unknown)


def _written(http_status: int, code: int | None, subcode: int | None) -> str:
    if code is None:
        return f"http {http_status}"
    return f"{code}/{subcode}" if subcode else str(code)
