"""What programs get, as product.md 7 names it, and how every problem looks."""

from typing import Any

from pydantic import BaseModel

from app import problem


class Conversation(BaseModel):
    """One conversation, and who writes in it."""

    id: str
    accountId: str
    participantPlatformId: str
    participantUsername: str | None
    participantName: str | None
    participantProfilePic: str | None
    displayName: str
    identityState: str
    lastMessageAt: str
    lastMessagePreview: str | None
    unreadCount: int
    status: str


class Conversations(BaseModel):
    """A page of conversations."""

    data: list[Conversation]
    nextCursor: str | None


class Queued(BaseModel):
    """A job that waits for its turn; the duration is in seconds, None when it cannot be said."""

    jobId: str
    status: str
    estimatedDuration: int | None
    total: int


class Message(BaseModel):
    """One message of a conversation; what was taken back has no text."""

    id: str
    mid: str
    senderId: str
    direction: str
    kind: str
    text: str | None
    attachments: list[dict[str, Any]]
    sentAt: str
    editedAt: str | None


class Messages(BaseModel):
    """A page of messages, newest first."""

    data: list[Message]
    nextCursor: str | None


class Job(BaseModel):
    """A job and how far it is; secondsLeft is None when it is over or cannot be said."""

    id: str
    kind: str
    accountId: str
    state: str
    reason: str | None
    startedBy: str
    createdAt: str
    finishedAt: str | None
    resumeAt: str | None
    total: int
    done: int
    resolved: int
    alreadyFresh: int
    failed: int
    skipped: int
    calls: int
    cacheHits: int
    secondsLeft: int | None


class Jobs(BaseModel):
    """Jobs at work and those of the last seven days."""

    data: list[Job]


class Unnamed(BaseModel):
    """Somebody whom a job could not name."""

    participantPlatformId: str
    reason: str


class Result(BaseModel):
    """What a job that was waited for brought."""

    jobId: str
    refreshed: int
    failed: int
    total: int
    errors: list[Unnamed]


class Item(BaseModel):
    """One person of a job."""

    participantPlatformId: str
    state: str
    reason: str | None
    code: str | None
    tries: int
    calls: int
    settledAt: str | None
    nextTryAt: str | None


class Items(BaseModel):
    """A page of a job's people, in the order of its plan."""

    data: list[Item]
    nextCursor: str | None


class Identity(BaseModel):
    """What is known of one person, and why something is missing."""

    id: str
    accountId: str
    participantPlatformId: str
    displayName: str
    username: str | None
    name: str | None
    identityState: str
    source: str | None
    lastSuccessAt: str | None
    lastFailureAt: str | None
    failureCount: int
    reason: str | None
    explanation: str | None
    nextTryAt: str | None


class Identities(BaseModel):
    """A page of identities."""

    data: list[Identity]
    nextCursor: str | None


class Asked(BaseModel):
    """A refresh: `queued`, or `fresh` because the contact was looked up at `lookedUpAt`, moments ago."""

    status: str
    lookedUpAt: str | None


class Account(BaseModel):
    """A connected account."""

    accountId: str
    username: str | None
    login: str
    locationId: str | None
    state: str
    stateReason: str | None
    lookupProblem: str | None
    connectedAt: str | None
    lastWebhookAt: str | None


class Accounts(BaseModel):
    """The connected accounts that the token may see."""

    data: list[Account]


class WrongField(BaseModel):
    """A wrong field."""

    field: str
    detail: str


class Problem(BaseModel):
    """What went wrong (RFC 9457); jobId is that of the job that runs already."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[WrongField] | None = None
    jobId: str | None = None


STATUSES = (400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 503)
PROBLEMS: dict[Any, Any] = {
    status: {
        "description": problem.TITLES[status],
        "content": {problem.CONTENT_TYPE: {"schema": Problem.model_json_schema()}},
    }
    for status in STATUSES
}
