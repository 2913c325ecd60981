"""Name the members of enums for readers. The only place that does so."""

from collections.abc import Mapping
from enum import StrEnum

from app.instagram.errors import Reason
from app.models.identity import Purpose, Source
from app.models.inbox import Login
from app.models.run import RunKind
from app.models.user import Action
from app.viewer import Role

OTHER = "Other"  # a value that a newer release wrote

LABELS: Mapping[type[StrEnum], Mapping[str, str]] = {
    Purpose: {
        Purpose.LIVE: "New messages",
        Purpose.ASKED: "Requested by users",
        Purpose.BACKFILL: "Backfill",
        Purpose.REFRESH: "Refresh",
        Purpose.DAILY: "Scheduled refresh",
        Purpose.CHECK: "Account checks",
        Purpose.SYNC: "Conversation sync",
        Purpose.ANNOUNCED: "Announced messages",
    },
    Source: {
        Source.CONVERSATIONS: "Conversations API",
        Source.PROFILE: "Profile API",
        Source.LEGACY: "Earlier system",
        Source.REDIS: "Redis",
        Source.ROW: "Database",
    },
    Reason: {
        Reason.CONSENT: "Consent required",
        Reason.NOT_VISIBLE: "Blocked or gone",
        Reason.NO_NAME: "Empty answer",
        Reason.PLACEHOLDER: "Placeholder",
        Reason.RATE_LIMITED: "Rate limited",
        Reason.TIMEOUT: "Timeout",
        Reason.NETWORK: "Not reached",
        Reason.TEMPORARY: "Instagram’s trouble",
        Reason.TOKEN: "Bad token",
        Reason.PERMISSION: "Missing permission",
        Reason.FIELD: "Refused field",
        Reason.REFUSED: "Refused",
        Reason.BAD_ANSWER: "Not understood",
    },
    RunKind: {RunKind.BACKFILL: "Backfill profiles", RunKind.REFRESH: "Refresh identities"},
    Login: {
        Login.INSTAGRAM: "Instagram Login",
        Login.FACEBOOK: "Facebook Login",
        Login.UNIFIED: "Unified Login",
    },
    Role: {Role.AGENT: "Agent", Role.OPS: "Ops", Role.ADMIN: "Admin"},
    Action: {action: action.value for action in Action},
}


def label(value: StrEnum) -> str:
    """Return what readers call a member of an enum in LABELS, "Other" for a value that this release does not know."""
    return LABELS[type(value)].get(value, OTHER)
