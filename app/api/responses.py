"""What the API returns, and how it reports a problem; the API document describes every field from here."""

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from app import problem_details
from app.api.fields import (
    AccountState,
    AttachmentKind,
    Direction,
    IdentityState,
    JobItemReason,
    JobItemState,
    JobKind,
    JobState,
    Login,
    LookupReason,
    LookupSource,
    MessageKind,
    ReferralKind,
    ReplyKind,
    Time,
    said,
    untitled,
)
from app.identities.display import SHORT_DIGITS, SHORT_PREFIX

ACCOUNT_ID = "The professional account ID."
CONTACT_ID = "The contact's ID at Instagram, valid for this account only."
USERNAME = "The contact's username without @, null while unknown."
NAME = "The contact's display name at Instagram, null while unknown or not set."
DISPLAY_NAME = (
    f"The name to show: @username, else the name, else `@{SHORT_PREFIX}` and the last {SHORT_DIGITS} digits of the "
    "contact's ID."
)
NEXT_CURSOR = "Pass it as `cursor` to get the next page; null on the last page."
JOB_ID = "The job's ID."
NEXT_LOOKUP_AT = "When the next automatic lookup is due, null when none is planned."

AN_ACCOUNT, A_CONTACT, A_JOB = "17841400000000101", "1520000000000011", "3f9c1a7be204"
A_MID = "aWdfZAG1faXRlbToxOklHTWVzc2FnZAUlE"


class ResponseModel(BaseModel):
    """Base of everything that is returned."""

    model_config = ConfigDict(json_schema_extra=untitled)


class Conversation(ResponseModel):
    """A conversation between an account and a contact."""

    id: str = said("The conversation's ID.", "42")
    accountId: str = said(ACCOUNT_ID, AN_ACCOUNT)
    participantPlatformId: str = said(CONTACT_ID, A_CONTACT)
    participantUsername: str | None = said(USERNAME, "lea.moreau")
    participantName: str | None = said(NAME, "Léa Moreau")
    participantProfilePic: str | None = said(
        "Path of the contact's picture on this server, opened with the same API token; null while there is none.",
        f"/api/avatars/{AN_ACCOUNT}/{A_CONTACT}?v=5f2c",
    )
    displayName: str = said(DISPLAY_NAME, "@lea.moreau")
    identityState: IdentityState = said("State of the contact's identity.", "known")
    lastMessageAt: Time = said("When the newest message was sent.")
    lastMessagePreview: str = said(
        "The beginning of the newest message's text, or what it is when it has no text, such as Photo.", "Bonjour !"
    )
    unreadCount: int = said("Messages of the contact that the team has not read.", 1, ge=0)
    status: str = said("Status of the conversation.", "open")


class ConversationPage(ResponseModel):
    """A page of conversations, newest first."""

    data: list[Conversation] = said("The conversations of this page.")
    nextCursor: str | None = said(NEXT_CURSOR)


class Attachment(ResponseModel):
    """An attachment of a message, or one card of a template. Meta's media URLs expire within days."""

    kind: AttachmentKind = said("What the attachment is.", "image")
    url: str | None = said(
        "The media at Meta, or the shared page; null without a safe http(s) URL.",
        "https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id=18000000000000014",
    )
    title: str | None = said("The title of a shared post, reel or template.", "Linen week")
    subtitle: str | None = said("The second line of a template.", "Until Sunday")
    imageUrl: str | None = said(
        "The picture of a card; null without a safe http(s) URL.", "https://shop.example/linen.jpg"
    )


class Reaction(ResponseModel):
    """A current reaction to a message. A removed reaction is not listed."""

    emoji: str = said("The reaction.", "❤️")
    senderId: str = said("The ID of the contact or account that reacted.", A_CONTACT)
    fromAccount: bool = said("Whether the account reacted, not the contact.", False)
    at: Time = said("When the reaction was sent.")


class ReplyTo(ResponseModel):
    """What a message answers."""

    kind: ReplyKind = said("A message or a story.", "message")
    mid: str | None = said("The `mid` of the answered message; null for a story.", A_MID)
    storyId: str | None = said("The story's ID at Instagram; null for a message.", "18050000000001002")
    url: str | None = said(
        "The story's media at Meta, which ends with the story; null without a safe http(s) URL.",
        "https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id=18000000000000013",
    )


class Referral(ResponseModel):
    """What led the contact to the account: an ad, a product or an ig.me link."""

    kind: ReferralKind = said("An ad, a product or a link.", "ad")
    ref: str | None = said("The `ref` parameter of the ad or link.", "summer-flyer")
    source: str | None = said("Meta's source: `ADS`, or the URL of the link.", "ADS")
    adId: str | None = said("The ad's ID.", "120200000000000404")
    adTitle: str | None = said("The ad's title.", "Linen week")
    photoUrl: str | None = said(
        "The ad's picture at Meta; null without a safe http(s) URL.",
        "https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id=18000000000000014",
    )
    videoUrl: str | None = said(
        "The ad's video at Meta; null without a safe http(s) URL.",
        "https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id=18000000000000015",
    )
    productId: str | None = said("The product's ID in the shop.", "5200000000000505")


class Message(ResponseModel):
    """A message of a conversation. An unsent message has no text, attachments, reactions or references."""

    id: str = said("The message's ID in Nametag.", "1017")
    mid: str = said("The message's ID at Meta.", A_MID)
    senderId: str = said("The ID of the contact or account that sent it.", A_CONTACT)
    direction: Direction = said("Who sent it.", "incoming")
    kind: MessageKind = said("What the message is.", "text")
    text: str | None = said("The text, null when there is none or the message was unsent.", "Bonjour !")
    attachments: list[Attachment] = said("The attachments, empty when there are none.")
    reactions: list[Reaction] = said("The current reactions, oldest first.")
    replyTo: ReplyTo | None = said("The message or story that this message answers.")
    referral: Referral | None = said("What led the contact to the account with this message.")
    sentAt: Time = said("When the message was sent.")
    editedAt: Time | None = said("When the message was last edited, null when it never was.")
    seenAt: Time | None = said(
        "When the contact saw this outgoing message or a later one; null while not seen and for incoming messages."
    )


class MessagePage(ResponseModel):
    """A page of messages, newest first."""

    data: list[Message] = said("The messages of this page.")
    nextCursor: str | None = said(NEXT_CURSOR)


class JobStarted(ResponseModel):
    """A job that was started. Follow it at `/api/jobs/{id}`, the `Location` header."""

    jobId: str = said(JOB_ID, A_JOB)
    status: str = said("Always `queued`.", "queued")
    estimatedDuration: int | None = said(
        "Estimated seconds until the job is done, pauses for the API call budget included; null without an estimate.",
        41,
    )
    total: int = said("Contacts in the job.", 3, ge=0)


class Job(ResponseModel):
    """A job and its progress."""

    id: str = said(JOB_ID, A_JOB)
    kind: JobKind = said("What the job does.", "backfill")
    accountId: str = said(ACCOUNT_ID, AN_ACCOUNT)
    state: JobState = said("State of the job.", "running")
    reason: str | None = said("Why the job is waiting, in one sentence; null otherwise.")
    startedBy: str = said("The user, API token or schedule that started the job.", "crm")
    createdAt: Time = said("When the job was started.")
    finishedAt: Time | None = said("When the job ended, null before.")
    resumeAt: Time | None = said("When a waiting job resumes automatically.")
    total: int = said("Contacts in the job.", 3, ge=0)
    done: int = said("Contacts the job is done with: resolved, already fresh, failed and skipped.", 2, ge=0)
    resolved: int = said("Contacts whose lookup succeeded.", 1, ge=0)
    alreadyFresh: int = said("Contacts that needed no lookup.", 1, ge=0)
    failed: int = said("Contacts not resolved.", 0, ge=0)
    skipped: int = said("Contacts left out because a lookup cannot help now.", 0, ge=0)
    calls: int = said("API calls used.", 1, ge=0)
    cacheHits: int = said("Contacts found in the cache.", 0, ge=0)
    secondsLeft: int | None = said("Estimated seconds left; null when the job has ended or without an estimate.", 20)


class LeftOut(ResponseModel):
    """Contacts that a retry leaves out because it cannot help until they write."""

    reason: JobItemReason = said("Why their lookups failed.", "consent")
    contacts: int = said("Contacts left out for this reason.", 1, ge=1)


class RetriedJob(Job):
    """A job and what its retry does."""

    retried: int = said("Contacts to look up again.", 2, ge=0)
    leftOut: list[LeftOut] = said("Contacts left out, by reason.")


class JobList(ResponseModel):
    """Active jobs first, then jobs of the last 7 days."""

    data: list[Job] = said("The jobs.")


class UnresolvedContact(ResponseModel):
    """A contact that a job did not resolve."""

    participantPlatformId: str = said(CONTACT_ID, A_CONTACT)
    reason: str = said("What happened, in one sentence.", "Instagram did not answer in time")


class JobResult(ResponseModel):
    """The result of a job that ended within the time of the `Prefer: wait` header."""

    jobId: str = said(JOB_ID, A_JOB)
    refreshed: int = said("Contacts resolved or already fresh.", 2, ge=0)
    failed: int = said("Contacts not resolved.", 1, ge=0)
    total: int = said("Contacts in the job.", 3, ge=0)
    errors: list[UnresolvedContact] = said("The first 50 contacts that were not resolved.")


class JobItem(ResponseModel):
    """A contact in a job."""

    participantPlatformId: str = said(CONTACT_ID, A_CONTACT)
    state: JobItemState = said("State of the contact in this job.", "resolved")
    reason: JobItemReason | None = said("Why the contact is not resolved, null when resolved or not tried yet.")
    code: str | None = said("Meta's error code, or a word for an error without a code.", "9010")
    tries: int = said("Lookups made.", 1, ge=0)
    calls: int = said("API calls used.", 1, ge=0)
    settledAt: Time | None = said("When the job was done with the contact, null before.")
    nextTryAt: Time | None = said(NEXT_LOOKUP_AT)


class JobItemPage(ResponseModel):
    """A page of the contacts in a job, in the order of their lookups."""

    data: list[JobItem] = said("The contacts of this page.")
    nextCursor: str | None = said(NEXT_CURSOR)


class Identity(ResponseModel):
    """What Nametag stores about a contact, and why something is missing."""

    id: str = said("The identity's ID.", "7")
    accountId: str = said(ACCOUNT_ID, AN_ACCOUNT)
    participantPlatformId: str = said(CONTACT_ID, A_CONTACT)
    displayName: str = said(DISPLAY_NAME, "@lea.moreau")
    username: str | None = said(USERNAME, "lea.moreau")
    name: str | None = said(NAME, "Léa Moreau")
    identityState: IdentityState = said("State of the identity.", "known")
    source: LookupSource | None = said("Where the username, else the name, came from; null while unknown.")
    lastSuccessAt: Time | None = said("When a lookup last succeeded, null when none did.")
    lastFailureAt: Time | None = said("When a lookup last failed, null when none did.")
    failureCount: int = said("Failed lookups in a row.", 0, ge=0)
    reason: LookupReason | None = said("Why the identity is unknown, or why its last lookup failed.")
    explanation: str | None = said("The reason in one sentence.")
    nextTryAt: Time | None = said(NEXT_LOOKUP_AT)


class IdentityPage(ResponseModel):
    """A page of identities, newest first."""

    data: list[Identity] = said("The identities of this page.")
    nextCursor: str | None = said(NEXT_CURSOR)


class IdentityRefresh(ResponseModel):
    """The result of a request to refresh an identity."""

    status: str = said("`queued`, or `fresh` when the contact was looked up moments ago.", "queued")
    lookedUpAt: Time | None = said("When the contact was looked up; null while queued.")


class Account(ResponseModel):
    """A connected account."""

    accountId: str = said(ACCOUNT_ID, AN_ACCOUNT)
    username: str | None = said("The account's username without @, null while unknown.", "maison.lune")
    login: Login = said("The Meta login that connected the account.", "instagram")
    locationId: str | None = said("The location that the account belongs to.", "paris-1")
    state: AccountState = said("State of the account.", "connected")
    stateReason: str | None = said("What to do, in one sentence; null while connected.")
    lookupProblem: str | None = said("Which calls Meta refuses at present and what to do; null when it refuses none.")
    connectedAt: Time | None = said("When the account was connected.")
    lastWebhookAt: Time | None = said("When Meta last delivered a webhook event, null when it never did.")


class AccountList(ResponseModel):
    """The connected accounts that the API token may see."""

    data: list[Account] = said("The accounts, by username.")


class FieldError(ResponseModel):
    """A wrong field."""

    field: str = said("The field's name.", "limit")
    detail: str = said("What the field must be.", "Input should be less than or equal to 100")


class Problem(ResponseModel):
    """A problem document (RFC 9457)."""

    type: str = said("Always `about:blank`: the status names the kind of problem.", "about:blank")
    title: str = said("The phrase of the HTTP status.", "Conflict")
    status: int = said("The HTTP status.", 409)
    detail: str = said(
        "What happened, in one sentence.",
        f"Already running: Backfill profiles, started at 2026-11-20 09:29 UTC (job {A_JOB}).",
    )
    errors: list[FieldError] = Field(default_factory=list, description="The wrong fields; present with status 422.")
    jobId: str = Field(default_factory=str, description="The running job; present with status 409 on starting a job.")


STATUSES = (400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 503)
_RETRY_AFTER = {"Retry-After": {"description": "Seconds to wait before the next try.", "schema": {"type": "integer"}}}
PROBLEMS: dict[Any, Any] = {
    status: {
        "description": problem_details.title(status),
        "content": {problem_details.CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    | ({"headers": _RETRY_AFTER} if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE) else {})
    for status in STATUSES
}
