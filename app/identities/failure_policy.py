"""Why there is no name, whose fault it is and when to try again, in plain words."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.instagram.errors import SENTENCES, GraphAPIError, Reason, Scope

STOP_AFTER = 5  # failures of the person in a row (product.md 2)
RETRY_DELAYS = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=12),
)  # reliability.md 3.6
JITTER = 0.2
NOT_RETRYABLE = frozenset({Reason.CONSENT, Reason.REFUSED})  # the result is the same until the contact writes
CONTACT_REASONS = frozenset({Scope.CONTACT, Scope.CONTRACT, Scope.FIELD})


@dataclass(frozen=True, slots=True)
class FailurePolicy:
    """Why one lookup brought no name. `personal` verdicts count against the participant, the others never do."""

    reason: Reason
    scope: Scope
    code: str
    sentence: str

    @property
    def personal(self) -> bool:
        """Whether the failure belongs to this participant rather than to the account, the app or the network."""
        return self.scope in CONTACT_REASONS

    @property
    def lasting(self) -> bool:
        """Whether nothing changes until the participant writes: no consent yet (instagram-platform.md 9, code 230)."""
        return self.reason is Reason.CONSENT


NO_PROFILE = FailurePolicy(
    Reason.NO_NAME, Scope.CONTACT, "empty", "Instagram answered without a username and without a name"
)

PLACEHOLDER = FailurePolicy(Reason.PLACEHOLDER, Scope.CONTACT, "placeholder", SENTENCES[Reason.PLACEHOLDER])


def classify(failure: GraphAPIError) -> FailurePolicy:
    """Return the verdict on one participant that a failed call means."""
    return FailurePolicy(failure.reason, failure.scope, failure.code, failure.sentence)


def next_try(verdict: FailurePolicy, failures: int, now: datetime) -> datetime | None:
    """Return when to retry after `failures` in a row, or None when only a message or a user can restart it.

    Only a failure of the contact ends the retries: after a timeout they go on, however many failed before.
    """
    if verdict.lasting or (verdict.personal and failures >= STOP_AFTER):
        return None
    wait = RETRY_DELAYS[min(max(failures, 1), len(RETRY_DELAYS)) - 1]
    return now + wait * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreads retries, guards nothing
