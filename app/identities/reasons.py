"""The texts about each reason for a missing name: what happened, the cause, and what to do. The only table of them."""

from dataclasses import dataclass

from app.identities.failure_policy import STOP_AFTER
from app.instagram.errors import Reason

NEVER_TRIED = "never_tried"
STOPPED = "stopped"
WORKER_DIED = "worker_died"  # of a contact in a job, never of an identity; so is DELETED
DELETED = "deleted"
_RETRIED = "No action needed. Nametag retries automatically."


@dataclass(frozen=True, slots=True)
class ReasonText:
    """The texts about one reason, and its icon. `verdict` is one sentence without its period."""

    verdict: str
    because: str
    can_do: str
    icon: str = "clock"


MEANINGS: dict[str, ReasonText] = {
    NEVER_TRIED: ReasonText(
        "Not looked up yet",
        "No lookup since this contact first wrote.",
        "Refresh now, or wait for the next backfill.",
        "user-question",
    ),
    Reason.CONSENT: ReasonText(
        "Instagram doesn’t share this profile yet",
        "Meta requires profile consent, which a contact gives by messaging this account.",
        "No action needed. Nametag looks them up again when they next message this account.",
        "lock",
    ),
    Reason.NOT_VISIBLE: ReasonText(
        "Profile not available: this account is blocked, or theirs was deleted",
        "Instagram has no visible profile for this ID.",
        "No action needed. If they unblock the account, refresh to try again.",
        "eye-off",
    ),
    Reason.NO_NAME: ReasonText(
        "Instagram returned no username and no name",
        "The profile exists but has no name that Nametag can show.",
        _RETRIED,
        "user-question",
    ),
    Reason.PLACEHOLDER: ReasonText(
        "Instagram returned a placeholder instead of a name",
        "The name is “unknown” or similar. Nametag does not store it.",
        _RETRIED,
        "user-question",
    ),
    Reason.RATE_LIMITED: ReasonText(
        "Instagram’s rate limit was reached", "Instagram refuses further calls for a while.", _RETRIED, "hourglass"
    ),
    Reason.TIMEOUT: ReasonText("Instagram didn’t answer in time", "The lookup timed out.", _RETRIED),
    Reason.NETWORK: ReasonText(
        "Can’t reach Instagram", "The connection failed or was interrupted.", _RETRIED, "cloud-off"
    ),
    Reason.TEMPORARY: ReasonText(
        "Instagram has a temporary problem", "Instagram reported a temporary error.", _RETRIED, "cloud-off"
    ),
    Reason.TOKEN: ReasonText(
        "The account’s access token is no longer valid",
        "No contact of this account can be looked up until it is reconnected.",
        "Reconnect the account.",
        "plug-connected",
    ),
    Reason.PERMISSION: ReasonText(
        "A required permission is missing",
        "The access token isn’t allowed to read profiles.",
        "Reconnect the account and grant every permission.",
        "plug-connected",
    ),
    Reason.FIELD: ReasonText(
        "Instagram refused a field of the request", "Nametag asks again without that field.", _RETRIED
    ),
    Reason.REFUSED: ReasonText(
        "Instagram rejected the request",
        "The same request would fail again.",
        "Retrying won’t help. Nametag tries again when the contact next writes.",
        "ban",
    ),
    Reason.BAD_ANSWER: ReasonText(
        "Instagram’s response could not be read", "The response didn’t match Meta’s documentation.", _RETRIED
    ),
    STOPPED: ReasonText(
        f"{STOP_AFTER} lookups in a row failed, so automatic retries have stopped",
        "",
        "Clear the failures and retry, or wait until the contact next writes.",
        "ban",
    ),
}

OTHER = ReasonText(
    "Other reason, recorded by a newer version of Nametag", "", "Update Nametag to see the reason.", "user-question"
)
_IN_JOBS = {
    WORKER_DIED: "The worker crashed three times while looking up this contact",
    DELETED: "The contact was deleted",
}


def describe(reason: str) -> str:
    """Return the sentence about a reason, without its period; also about one that only a newer version knows."""
    return _IN_JOBS.get(reason) or MEANINGS.get(reason, OTHER).verdict


def explain_reason(reason: str, last_error: str | None) -> ReasonText:
    """Return the texts about a contact without a name. After stopped retries they explain the last failure."""
    if reason != STOPPED or last_error not in MEANINGS:
        return MEANINGS.get(reason, OTHER)
    last, stopped = MEANINGS[last_error], MEANINGS[STOPPED]
    can_do = last.can_do if last_error == Reason.CONSENT else stopped.can_do
    return ReasonText(last.verdict, last.because, can_do, last.icon)


def explain_stale_reason(last_error: str | None, *, retries: bool) -> ReasonText:
    """Return the texts about a known contact whose last lookup failed; `retries`: an automatic retry is planned."""
    last = MEANINGS.get(last_error or "", MEANINGS[Reason.BAD_ANSWER])
    next_lookup = "automatically" if retries else "when they write, at the latest after seven days"
    can_do = f"The stored name stays. Nametag looks the contact up again {next_lookup}."
    return ReasonText("The last lookup failed, so this name may be out of date", last.because, can_do, last.icon)
