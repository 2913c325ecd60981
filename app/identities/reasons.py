"""What each reason for a missing name means in plain words, and what can be done about it (ui.md 6.6)."""

from dataclasses import dataclass

from app.identities.failure_policy import STOP_AFTER
from app.instagram.errors import SENTENCES, Reason

NEVER_TRIED = "never_tried"
STOPPED = "stopped"
_WAIT = "Nothing is needed: it is tried again on its own."


@dataclass(frozen=True, slots=True)
class ReasonText:
    """A reason in one sentence without its full stop, what lies behind it, and what can be done; and its icon."""

    verdict: str
    because: str
    can_do: str
    icon: str = "clock"


MEANINGS: dict[str, ReasonText] = {
    NEVER_TRIED: ReasonText(
        "We haven’t looked this person up yet",
        "No lookup was made since they were first met.",
        "Refresh now, or wait for the next backfill.",
        "user-question",
    ),
    Reason.CONSENT: ReasonText(
        "This person hasn’t agreed to share a profile",
        "Instagram shares a username and a picture only after a person’s first message.",
        "Consent comes with their first message: when they write, the name is looked up again on its own.",
        "lock",
    ),
    Reason.NOT_VISIBLE: ReasonText(
        "They blocked the account, or no longer exist",
        "Instagram shows nobody under this ID.",
        "Keep the short ID. A retry may help if they unblocked the account.",
        "eye-off",
    ),
    Reason.NO_NAME: ReasonText(
        "Instagram answered without a username and without a name",
        "The person was found, but nothing to call them by.",
        _WAIT,
        "user-question",
    ),
    Reason.PLACEHOLDER: ReasonText(
        SENTENCES[Reason.PLACEHOLDER],
        "The answer named the contact “unknown” or similar. That is not stored as a name.",
        "Nothing is needed: the lookup is retried automatically.",
        "user-question",
    ),
    Reason.RATE_LIMITED: ReasonText(
        "This hour’s API budget is used up", "Instagram refuses further calls for a while.", _WAIT, "hourglass"
    ),
    Reason.TIMEOUT: ReasonText("Instagram didn’t answer in time", "A lookup is given up after 2 s.", _WAIT),
    Reason.NETWORK: ReasonText(
        "Instagram could not be reached", "No connection was made, or it broke.", _WAIT, "cloud-off"
    ),
    Reason.TEMPORARY: ReasonText("Instagram had a temporary problem", "It said so itself.", _WAIT, "cloud-off"),
    Reason.TOKEN: ReasonText(
        "The account’s token is expired",
        "Nobody can be looked up with it; the person has nothing to do with that.",
        "Reconnect the account.",
        "plug-connected",
    ),
    Reason.PERMISSION: ReasonText(
        "A permission is missing at Meta",
        "The account’s token may not look people up.",
        "Reconnect the account with every permission.",
        "plug-connected",
    ),
    Reason.FIELD: ReasonText("Instagram refused a field that was asked for", "It is left out from now on.", _WAIT),
    Reason.REFUSED: ReasonText(
        "Instagram refused the request",
        "It would refuse the same again.",
        "Repeating it would not help until they write.",
        "ban",
    ),
    Reason.BAD_ANSWER: ReasonText(
        "Instagram’s answer could not be understood", "It was not what its documentation says.", _WAIT
    ),
    STOPPED: ReasonText(
        f"{STOP_AFTER} tries in a row failed, and automatic tries have stopped",
        "",
        "Clear the failures and retry, or wait until they write.",
        "ban",
    ),
}

OTHER = ReasonText(
    "Other reason", "A newer version of Nametag recorded it.", "Update Nametag to see what it means.", "user-question"
)


def explain_reason(reason: str, last_error: str | None) -> ReasonText:
    """Return what is said of somebody without a name: why the last try failed, also where tries have stopped."""
    if reason != STOPPED or last_error not in MEANINGS:
        return MEANINGS.get(reason, OTHER)
    last, stopped = MEANINGS[last_error], MEANINGS[STOPPED]
    can_do = last.can_do if last_error == Reason.CONSENT else stopped.can_do
    return ReasonText(last.verdict, last.because, can_do, last.icon)


def explain_stale_reason(last_error: str | None, *, retries: bool) -> ReasonText:
    """Return the meaning of a failed lookup of a known contact; `retries` says whether an automatic one is planned."""
    last = MEANINGS.get(last_error or "", MEANINGS[Reason.BAD_ANSWER])
    next_lookup = "automatically" if retries else "when they write, at the latest after seven days"
    can_do = f"The stored name stays. The contact is looked up again {next_lookup}."
    return ReasonText("The last lookup failed, so this name may be out of date", last.because, can_do, last.icon)
