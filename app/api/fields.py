"""Field types of the API document. Each enum and each format is described once."""

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import Field, WithJsonSchema
from typing_extensions import TypeAliasType

from app import reply_state, schedules
from app.alerts import listing as alerts
from app.alerts import receivers
from app.findings import UNKNOWN, Level
from app.identities import listing
from app.identities.failure_policy import STOP_AFTER
from app.identities.listing import NameState
from app.inbox import message_facts
from app.instagram import attachments
from app.instagram.events import EventKind
from app.models import account, gap
from app.models.identity import Source
from app.models.run import ItemState, RunScope
from app.models.run import RunKind as RunKind
from app.runs import failures, progress
from app.runs.kinds import RULES
from app.runs.plan import Certainty


def described(description: str, example: Any = None, **rules: Any) -> Any:
    """Return a field with a description and, if given, an example."""
    return Field(description=description, json_schema_extra=None if example is None else {"example": example}, **rules)


def untitled(schema: dict[str, Any]) -> None:
    """Remove the titles that pydantic derives from field names: code generators would name types after them."""
    for each in schema.get("properties", {}).values():
        each.pop("title", None)


def _one_of(values: Iterable[str], description: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "enum": list(dict.fromkeys(map(str, values))), "description": description})


Time = Annotated[  # as clock.rfc3339 writes it
    str, WithJsonSchema({"type": "string", "format": "date-time", "example": "2026-11-20T12:00:00.000Z"})
]
AccountState = TypeAliasType(
    "AccountState",
    Annotated[
        str,
        _one_of(
            (state for state in account.AccountState if state is not account.AccountState.DELETING),
            "`connected`: the access token works. `reconnect`: an admin must reconnect the account.",
        ),
    ],
)
AlertKind = TypeAliasType(
    "AlertKind",
    Annotated[
        str,
        _one_of(
            alerts.AlertKind,
            "What an alert is about. `lookups_refused`: Meta refuses lookups of the account. `silent`: no webhooks for "
            "far longer than usual. `gap_found`: messages of a period without webhooks are being fetched. "
            "`health_check`: another health check found an error.",
        ),
    ],
)
AlertEvent = TypeAliasType(
    "AlertEvent",
    Annotated[
        str,
        _one_of(
            receivers.CHOICES,
            "What an alert receiver is sent. Jobs: those that a user or an API client started.",
        ),
    ],
)
AlertDeliveryState = TypeAliasType(
    "AlertDeliveryState",
    Annotated[
        str,
        _one_of(
            (state for state in receivers.DeliveryState if state is not receivers.DeliveryState.OBSOLETE),
            "`queued`: it is sent, or retried, automatically. `given_up`: six attempts failed.",
        ),
    ],
)
ReceiverKind = TypeAliasType(
    "ReceiverKind", Annotated[str, _one_of(receivers.ReceiverKind, "Where an alert receiver is reached.")]
)
AlertState = TypeAliasType(
    "AlertState",
    Annotated[
        alerts.State,
        _one_of(("open", "recovered"), "`open`: the problem is still found. `recovered`: it is not found any more."),
    ],
)
AttachmentKind = TypeAliasType(
    "AttachmentKind",
    Annotated[
        str,
        _one_of(
            attachments.KINDS.values(),
            "What an attachment is. `unsupported`: a type that Nametag does not know, or that Meta does not deliver.",
        ),
    ],
)
Direction = TypeAliasType(
    "Direction",
    Annotated[str, _one_of(("incoming", "outgoing"), "`incoming`: from the contact. `outgoing`: from the account.")],
)
WindowState = TypeAliasType(
    "WindowState",
    Annotated[
        str,
        _one_of(
            reply_state.WindowState,
            "How long the account may write to the contact. `none`: the contact never wrote. "
            "`open`: more than 6 hours left. `closing`: 6 hours or less. `closed`: more than 24 hours since the "
            "contact's newest message; for 7 days a user may still reply in Instagram. `expired`: more than 7 days.",
        ),
    ],
)
HealthLevel = TypeAliasType(
    "HealthLevel", Annotated[str, _one_of(Level, "Result of a health check. With `warning`, Nametag works.")]
)
HealthState = TypeAliasType(
    "HealthState",
    Annotated[
        str,
        _one_of((*Level, UNKNOWN), "The worst level. `unknown`: the checks have not run for two minutes."),
    ],
)
IdentityState = TypeAliasType(
    "IdentityState",
    Annotated[
        NameState,
        _one_of(
            NameState,
            "`known`: looked up within 7 days. `stale`: looked up more than 7 days ago. "
            "`unknown`: without username and name.",
        ),
    ],
)
ScheduleState = TypeAliasType(
    "ScheduleState",
    Annotated[
        str,
        _one_of(
            schedules.ScheduleState,
            "`late`: not run for more than two periods, or no scheduler runs. `never`: not run yet.",
        ),
    ],
)
GapCause = TypeAliasType(
    "GapCause",
    Annotated[
        str,
        _one_of(
            gap.GapCause,
            "Why webhooks did not arrive. `reconnect`: Meta rejected the access token. `subscription`: the webhook "
            "subscription was missing. `silence`: none came for unusually long. `outage`: no web server ran. "
            "`database`: the database could not be written.",
        ),
    ],
)
GapState = TypeAliasType(
    "GapState",
    Annotated[
        str,
        _one_of(
            gap.GapState,
            "`open`: it lasts, or its sync has not started. `reading`: a sync reads it. `given_up`: the sync was "
            "canceled or failed.",
        ),
    ],
)
JobItemReason = TypeAliasType(
    "JobItemReason",
    Annotated[
        str,
        _one_of(
            failures.REASONS,
            "Why a contact was not resolved. `consent`: the contact must write first. `not_visible`: the contact "
            "blocked the account or no longer exists. `worker_died`: the worker stopped during the lookup three times. "
            "`deleted`: the contact was deleted.",
        ),
    ],
)
JobItemState = TypeAliasType(
    "JobItemState",
    Annotated[
        ItemState,
        _one_of(
            ItemState,
            "`todo`: not looked up yet. `fresh`: was looked up within 7 days, no call needed. "
            "`skipped`: not looked up because it cannot help now: the contact must write first, or automatic lookups "
            "have stopped.",
        ),
    ],
)
JobKind = TypeAliasType(
    "JobKind",
    Annotated[str, _one_of(RunKind, " ".join(f"`{kind}`: {rules.summary}." for kind, rules in RULES.items()))],
)
JobScope = TypeAliasType(
    "JobScope",
    Annotated[
        str,
        _one_of(
            RunScope,
            "`all`: all contacts of the kind. `recent`: with recent messages. `expiring`: names and pictures about to "
            "expire. `filter`, `chosen`: selected on the Identities page. `gap`: conversations with messages in a gap.",
        ),
    ],
)
JobState = TypeAliasType(
    "JobState",
    Annotated[
        str,
        _one_of(
            progress.STATES,
            "`waiting`: resumes automatically at `resumeAt`. `paused`: by a user, until resumed. "
            "`some_failed`: done, with contacts not resolved. "
            "`worker_missing`: queued, and no worker has taken it for 30 seconds. Final states: `done`, `some_failed`, "
            "`failed`, `canceled`.",
        ),
    ],
)
Login = TypeAliasType("Login", Annotated[str, _one_of(account.Login, "Which Meta login connected the account.")])
LookupReason = TypeAliasType(
    "LookupReason",
    Annotated[
        str,
        _one_of(
            listing.REASONS,
            "Why an identity is unknown or its last lookup failed. `never_tried`: no lookup yet. "
            f"`stopped`: {STOP_AFTER} lookups in a row failed, automatic lookups have stopped.",
        ),
    ],
)
LookupSource = TypeAliasType(
    "LookupSource",
    Annotated[
        str,
        _one_of(
            Source,
            "Where a name came from. `conversations`: Meta's Conversations API. `profile`: Meta's User Profile API. "
            "`legacy`: an import. `redis`, `row`: Nametag's own cache and database.",
        ),
    ],
)
MessageKind = TypeAliasType(
    "MessageKind",
    Annotated[
        str,
        _one_of(
            EventKind,
            "What a message is. `unsent`: its sender unsent it. `unsupported`: a type that Nametag does not know, "
            "or that Meta does not deliver.",
        ),
    ],
)
ReferralKind = TypeAliasType(
    "ReferralKind", Annotated[str, _one_of(message_facts.ReferralKind, "What led the contact to the account.")]
)
ReplyKind = TypeAliasType("ReplyKind", Annotated[str, _one_of(message_facts.ReplyKind, "What the message answers.")])
PlanCertainty = TypeAliasType(
    "PlanCertainty",
    Annotated[
        str,
        _one_of(
            Certainty,
            "`exact`: every contact was looked up before. `estimated`: the others are named as often as earlier "
            "contacts of the account. `unknown`: too few contacts of the account were looked up yet. `not_counted`: "
            "they are many and counted in the background.",
        ),
    ],
)
