"""Labels of enum members for pages and the command line. The only module that has them."""

from collections.abc import Mapping
from enum import StrEnum

from app.instagram.errors import Reason
from app.models.account import Login
from app.models.alert import AlertEvent, AlertKind, DeliveryState
from app.models.audit import Action
from app.models.call import Purpose
from app.models.gap import GapCause, GapState
from app.models.identity import Source
from app.models.process import CheckedPart, Level
from app.models.run import LossCause, RunKind
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
        Reason.CONSENT: "Profile consent",
        Reason.NOT_VISIBLE: "Not visible",
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
    RunKind: {
        RunKind.BACKFILL: "Backfill profiles",
        RunKind.REFRESH: "Refresh identities",
        RunKind.SYNC: "Conversation sync",
    },
    GapCause: {
        GapCause.RECONNECT: "Access token rejected",
        GapCause.SUBSCRIPTION: "Webhook subscription missing",
        GapCause.SILENCE: "Unusual silence",
        GapCause.OUTAGE: "Nametag not running",
        GapCause.DATABASE: "Database unavailable",
    },
    GapState: {
        GapState.OPEN: "Open",
        GapState.READING: "Being read",
        GapState.CLOSED: "Closed",
        GapState.CLOSED_WITH_LOSSES: "Closed with losses",
        GapState.GIVEN_UP: "Given up",
    },
    LossCause: {
        LossCause.OLDER: "older than the newest 20 of a conversation",
        LossCause.UNSENT: "unsent",
        LossCause.UNREADABLE: "unreadable",
    },
    Level: {Level.OK: "OK", Level.WARNING: "Warning", Level.ERROR: "Error"},
    CheckedPart: {
        CheckedPart.DATABASE: "Database",
        CheckedPart.REDIS: "Redis",
        CheckedPart.PROCESSES: "Processes",
        CheckedPart.ACCOUNTS: "Accounts",
        CheckedPart.OWNER_REQUESTS: "Owner requests",
        CheckedPart.DEAD_LETTERS: "Dead letters",
        CheckedPart.LOOKUPS: "Lookups",
        CheckedPart.JOBS: "Jobs",
        CheckedPart.NAMING: "Naming",
        CheckedPart.ALERT_RECEIVERS: "Alert receivers",
    },
    AlertKind: {
        AlertKind.WORKER_MISSING: "Worker missing",
        AlertKind.REDIS_UNUSABLE: "Redis can’t be used",
        AlertKind.DISK_FULL: "Disk almost full",
        AlertKind.TOKEN_EXPIRING: "Access token expires",
        AlertKind.TOKEN_REJECTED: "Access token rejected",
        AlertKind.PERMISSION_MISSING: "Permissions missing",
        AlertKind.SUBSCRIPTION_MISSING: "Webhook subscription missing",
        AlertKind.SILENT: "No webhooks",
        AlertKind.GAP_FOUND: "Gap in webhooks",
        AlertKind.LOOKUPS_REFUSED: "Lookups refused",
        AlertKind.CALLS_PAUSED: "API calls paused",
        AlertKind.LOOKUPS_WAITING: "Lookups waiting",
        AlertKind.DEAD_LETTERS: "Dead letters",
        AlertKind.OWNER_REQUESTS: "Requests of account owners",
        AlertKind.JOB_FAILED: "Job failed",
        AlertKind.SLO_MISSED: "Names late",
        AlertKind.REASONS_MOVED: "Reasons changed",
        AlertKind.HEALTH_CHECK: "Health check failed",
    },
    AlertEvent: {
        AlertEvent.OPENED: "Alert opened",
        AlertEvent.RECOVERED: "Alert recovered",
        AlertEvent.JOB_FINISHED: "Job finished",
        AlertEvent.JOB_PAUSED: "Job paused",
        AlertEvent.TEST: "Test",
    },
    DeliveryState: {
        DeliveryState.QUEUED: "Queued",
        DeliveryState.DELIVERED: "Delivered",
        DeliveryState.GIVEN_UP: "Given up",
        DeliveryState.OBSOLETE: "Recovered before it was sent",
    },
    Login: {
        Login.INSTAGRAM: "Instagram Login",
        Login.FACEBOOK: "Facebook Login",
        Login.UNIFIED: "Unified Login",
    },
    Role: {Role.AGENT: "Agent", Role.OPS: "Ops", Role.ADMIN: "Admin"},
    Action: {
        Action.SIGNED_IN: "Signed in",
        Action.SIGN_IN_FAILED: "Failed to sign in",
        Action.SIGN_IN_THROTTLED: "Was rate-limited at sign-in",
        Action.SESSION_ENDED: "Signed out",
        Action.SIGNED_OUT: "Signed out of all devices",
        Action.PASSWORD_CHANGED: "Changed a password",
        Action.USER_ADDED: "Added a user",
        Action.USER_CHANGED: "Changed the role or access of a user",
        Action.USER_DISABLED: "Disabled a user",
        Action.USER_ENABLED: "Enabled a user",
        Action.TOKEN_CREATED: "Created an API token",
        Action.TOKEN_REVOKED: "Revoked an API token",
        Action.TOKEN_USED: "Used an API token from a new IP address",
        Action.TOKEN_REFUSED: "Sent a refused API token",
        Action.ACCESS_REFUSED: "Was refused access",
        Action.DATA_NOT_VISIBLE: "Requested data not visible",
        Action.JOB_STARTED: "Started a job",
        Action.JOB_CANCELED: "Canceled a job",
        Action.JOB_RETRIED: "Retried a job",
        Action.JOB_PAUSED: "Paused a job",
        Action.JOB_RESUMED: "Resumed a job",
        Action.IDENTITY_REFRESHED: "Refreshed an identity",
        Action.IDENTITIES_EXPORTED: "Exported identities",
        Action.CONTACT_EXPORTED: "Exported the data of a contact",
        Action.PERSON_DELETED: "Deleted the data of a contact",
        Action.ACCOUNT_CONNECTED: "Connected an account",
        Action.ACCOUNT_REMOVED: "Removed an account",
        Action.ACCOUNT_WITHDRAWN: "Deauthorized the app",
        Action.ACCOUNT_DELETION_ASKED: "Requested data deletion",
        Action.OWNER_REQUEST_ASSIGNED: "Assigned a request of an account owner",
        Action.OWNER_REQUEST_CLOSED: "Closed a request of an account owner",
        Action.LETTER_REPLAYED: "Replayed a dead letter",
        Action.LETTER_DISCARDED: "Discarded a dead letter",
        Action.QUEUE_CHANGED: "Changed a queue in the queue dashboard",
        Action.SCHEDULE_RUN: "Ran a schedule",
        Action.SCHEDULE_OFF: "Switched a schedule off",
        Action.SCHEDULE_ON: "Switched a schedule on",
        Action.ALERT_ACKNOWLEDGED: "Acknowledged an alert",
        Action.ALERTS_MUTED: "Muted the alerts of an account",
        Action.ALERTS_UNMUTED: "Unmuted the alerts of an account",
        Action.RECEIVER_ADDED: "Added an alert receiver",
        Action.RECEIVER_CHANGED: "Changed an alert receiver",
        Action.RECEIVER_TESTED: "Tested an alert receiver",
        Action.RECEIVER_ENABLED: "Switched an alert receiver on",
        Action.SECRET_ROTATED: "Rotated the secret of an alert receiver",
        Action.RECEIVER_REMOVED: "Removed an alert receiver",
        Action.KEYS_ROTATED: "Rotated encryption keys",
    },
}


def label(value: StrEnum) -> str:
    """Return the label of a member of an enum in LABELS, "Other" for a value that a newer release stored."""
    return LABELS[type(value)].get(value, OTHER)
