"""Classify failed lookups, and compute the time of the next retry."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.instagram.errors import SENTENCES, GraphAPIError, Reason, Scope

STOP_AFTER = 5  # failures of the contact in a row
RETRY_DELAYS = (
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=12),
)
JITTER = 0.2
JOB_ATTEMPTS = 3  # per contact and job
JOB_RETRY_DELAYS = (timedelta(seconds=1), timedelta(seconds=4))
NOT_RETRYABLE = frozenset({Reason.CONSENT, Reason.REFUSED})  # the result is the same until the contact writes
# A further lookup of these contacts is expected to fail too: the plan of a job counts them as staying unknown.
LASTING_REASONS = NOT_RETRYABLE | {Reason.NOT_VISIBLE, Reason.NO_NAME, Reason.PLACEHOLDER}
CONTACT_REASONS = frozenset({Scope.CONTACT, Scope.CONTRACT, Scope.FIELD})


@dataclass(frozen=True, slots=True)
class LookupFailure:
    """Why one lookup returned no name. Only `personal` failures count against the contact."""

    reason: Reason
    scope: Scope
    code: str
    sentence: str

    @property
    def personal(self) -> bool:
        """Whether the contact is the cause, not the account, the app or the network."""
        return self.scope in CONTACT_REASONS

    @property
    def lasting(self) -> bool:
        """Whether only a message of the contact can change it: no profile consent (docs/meta-platform.md#errors)."""
        return self.reason is Reason.CONSENT


NO_PROFILE = LookupFailure(Reason.NO_NAME, Scope.CONTACT, "empty", SENTENCES[Reason.NO_NAME])

PLACEHOLDER = LookupFailure(Reason.PLACEHOLDER, Scope.CONTACT, "placeholder", SENTENCES[Reason.PLACEHOLDER])


def classify(failure: GraphAPIError) -> LookupFailure:
    """Return what a failed call means for the contact it was about."""
    return LookupFailure(failure.reason, failure.scope, failure.code, failure.sentence)


def next_try(failure: LookupFailure, failures: int, now: datetime) -> datetime | None:
    """Return when to retry after `failures` in a row (aware UTC), None when only a message or a user restarts lookups.

    Only failures of the contact end the retries: after a timeout they continue, however many failed before.
    """
    if failure.lasting or (failure.personal and failures >= STOP_AFTER):
        return None
    wait = RETRY_DELAYS[min(max(failures, 1), len(RETRY_DELAYS)) - 1]
    return now + wait * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreads retries, protects nothing


def job_retry_delay(failure: LookupFailure, attempts: int) -> timedelta | None:
    """Return how long a job waits before it retries a contact, None when the contact fails in this job.

    `attempts` is the number of lookups of the contact in this job before the failed one.
    """
    if failure.scope is Scope.CONTACT or attempts + 1 >= JOB_ATTEMPTS:
        return None
    return JOB_RETRY_DELAYS[min(attempts, len(JOB_RETRY_DELAYS) - 1)]
