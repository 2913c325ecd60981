"""Response models of the API, and the problem document. The OpenAPI document is generated from them."""

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from app import problem_details
from app.api.fields import (
    AccountState,
    AlertDeliveryState,
    AlertEvent,
    AlertKind,
    AlertState,
    AttachmentKind,
    Direction,
    GapCause,
    GapState,
    HealthLevel,
    HealthState,
    IdentityState,
    JobItemReason,
    JobItemState,
    JobKind,
    JobScope,
    JobState,
    Login,
    LookupReason,
    LookupSource,
    MessageKind,
    PlanCertainty,
    ReceiverKind,
    ReferralKind,
    ReplyKind,
    ScheduleState,
    Time,
    WindowState,
    described,
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
JOB_ID = "The job ID."
BINARY = "application/octet-stream"
NEXT_LOOKUP_AT = "When the next automatic lookup is due, null when none is planned."

AN_ACCOUNT, A_CONTACT, A_JOB = "17841400000000101", "1520000000000011", "3f9c1a7be204"
A_MID = "aWdfZAG1faXRlbToxOklHTWVzc2FnZAUlE"


class ResponseModel(BaseModel):
    """Base of all response models."""

    model_config = ConfigDict(json_schema_extra=untitled)


class Conversation(ResponseModel):
    """A conversation between an account and a contact."""

    id: str = described("The conversation's ID.", "42")
    accountId: str = described(ACCOUNT_ID, AN_ACCOUNT)
    participantPlatformId: str = described(CONTACT_ID, A_CONTACT)
    participantUsername: str | None = described(USERNAME, "lea.moreau")
    participantName: str | None = described(NAME, "Léa Moreau")
    participantProfilePic: str | None = described(
        "Path of the contact's picture on this server, opened with the same API token; null while there is none.",
        f"/api/avatars/{AN_ACCOUNT}/{A_CONTACT}?v=5f2c",
    )
    displayName: str = described(DISPLAY_NAME, "@lea.moreau")
    identityState: IdentityState = described("State of the contact's identity.", "known")
    lastMessageAt: Time = described("When the newest message was sent.")
    lastMessagePreview: str = described(
        "The beginning of the newest message's text, or what it is when it has no text, such as Photo.", "Bonjour !"
    )
    unreadCount: int = described("Messages of the contact that no user or API token has read.", 1, ge=0)
    status: str = described("Status of the conversation.", "open")
    needsReply: bool = described("Whether the contact wrote after the account's newest message.", True)
    needsReplySince: Time | None = described(
        "When the contact wrote first after the account's newest message; null while no reply is needed."
    )
    replyWindowEndsAt: Time | None = described(
        "When the 24-hour window of Meta ends or ended; null if the contact never wrote."
    )
    windowState: WindowState = described("State of the 24-hour window now.", "open")


class ConversationPage(ResponseModel):
    """A page of conversations, newest first unless `order` says otherwise."""

    data: list[Conversation] = described("The conversations of this page.")
    nextCursor: str | None = described(NEXT_CURSOR)


class Attachment(ResponseModel):
    """An attachment of a message, or one card of a template. Meta's media URLs expire within days."""

    kind: AttachmentKind = described("What the attachment is.", "image")
    url: str | None = described(
        "The media at Meta, or the shared page; null without a safe http(s) URL.",
        "https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id=18000000000000014",
    )
    title: str | None = described("The title of a shared post, reel or template.", "Linen week")
    subtitle: str | None = described("The second line of a template.", "Until Sunday")
    imageUrl: str | None = described(
        "The picture of a card; null without a safe http(s) URL.", "https://shop.example/linen.jpg"
    )


class Reaction(ResponseModel):
    """A current reaction to a message. Removed reactions are not listed."""

    emoji: str = described("The reaction.", "❤️")
    senderId: str = described("The ID of the contact or account that reacted.", A_CONTACT)
    fromAccount: bool = described("Whether the account reacted, not the contact.", False)
    at: Time = described("When the reaction was sent.")


class ReplyTo(ResponseModel):
    """What a message answers."""

    kind: ReplyKind = described("A message or a story.", "message")
    mid: str | None = described("The `mid` of the answered message; null for a story.", A_MID)
    storyId: str | None = described("The story's ID at Instagram; null for a message.", "18050000000001002")
    url: str | None = described(
        "The story's media at Meta, which ends with the story; null without a safe http(s) URL.",
        "https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id=18000000000000013",
    )


class Referral(ResponseModel):
    """What led the contact to the account: an ad, a product or an ig.me link."""

    kind: ReferralKind = described("An ad, a product or a link.", "ad")
    ref: str | None = described("The `ref` parameter of the ad or link.", "summer-flyer")
    source: str | None = described("Meta's source: `ADS`, or the URL of the link.", "ADS")
    adId: str | None = described("The ad's ID.", "120200000000000404")
    adTitle: str | None = described("The ad's title.", "Linen week")
    photoUrl: str | None = described(
        "The ad's picture at Meta; null without a safe http(s) URL.",
        "https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id=18000000000000014",
    )
    videoUrl: str | None = described(
        "The ad's video at Meta; null without a safe http(s) URL.",
        "https://lookaside.fbsbx.com/ig_messaging_cdn/?asset_id=18000000000000015",
    )
    productId: str | None = described("The product's ID in the shop.", "5200000000000505")


class Message(ResponseModel):
    """A message of a conversation. An unsent message has no text, attachments, reactions or references."""

    id: str = described("The message's ID in Nametag.", "1017")
    mid: str = described("The message's ID at Meta.", A_MID)
    senderId: str = described("The ID of the contact or account that sent it.", A_CONTACT)
    direction: Direction = described("Who sent it.", "incoming")
    kind: MessageKind = described("What the message is.", "text")
    text: str | None = described("The text, null when there is none or the message was unsent.", "Bonjour !")
    attachments: list[Attachment] = described("The attachments, empty when there are none.")
    reactions: list[Reaction] = described("The current reactions, oldest first.")
    replyTo: ReplyTo | None = described("The message or story that this message answers.")
    referral: Referral | None = described("What led the contact to the account with this message.")
    sentAt: Time = described("When the message was sent.")
    editedAt: Time | None = described("When the message was last edited, null when it never was.")
    seenAt: Time | None = described(
        "When the contact saw this outgoing message or a later one; null while not seen and for incoming messages."
    )


class MessagePage(ResponseModel):
    """A page of messages, newest first."""

    data: list[Message] = described("The messages of this page.")
    nextCursor: str | None = described(NEXT_CURSOR)


class JobStarted(ResponseModel):
    """A job that was started. Follow it at `/api/jobs/{id}`, the `Location` header."""

    jobId: str = described(JOB_ID, A_JOB)
    status: str = described("Always `queued`.", "queued")
    estimatedDuration: int | None = described(
        "Estimated seconds until the job is done, pauses for the API call budget included; null without an estimate.",
        41,
    )
    total: int = described("Contacts in the job.", 3, ge=0)


class NotGiven(ResponseModel):
    """Messages that Meta did not give to a conversation sync, by cause."""

    older: int = described("Sent before the newest 20 of a conversation, which are all that Meta returns.", 3, ge=0)
    unsent: int = described("Unsent before they arrived.", 2, ge=0)
    unreadable: int = described("Messages or conversations that could not be read.", 0, ge=0)


class Job(ResponseModel):
    """A job and its progress. Of a sync, `resolved` counts conversations with new messages, `alreadyFresh` others."""

    id: str = described(JOB_ID, A_JOB)
    kind: JobKind = described("What the job does.", "backfill")
    accountId: str = described(ACCOUNT_ID, AN_ACCOUNT)
    state: JobState = described("State of the job.", "running")
    reason: str | None = described("Why the job is waiting, in one sentence; null otherwise.")
    scope: JobScope = described("Which contacts of its kind the job looks up.", "all")
    startedBy: str = described("The user, API token or schedule that started the job.", "crm")
    pausedBy: str | None = described("The user or API token that paused the job; null unless it is paused.")
    pausedAt: Time | None = described("When the job was paused; null unless it is paused.")
    createdAt: Time = described("When the job was started.")
    finishedAt: Time | None = described("When the job ended, null before.")
    resumeAt: Time | None = described("When a waiting job resumes automatically.")
    total: int = described("Contacts in the job.", 3, ge=0)
    done: int = described("Contacts the job is done with: resolved, already fresh, failed and skipped.", 2, ge=0)
    resolved: int = described("Contacts whose lookup succeeded.", 1, ge=0)
    alreadyFresh: int = described("Contacts that needed no lookup.", 1, ge=0)
    failed: int = described("Contacts not resolved.", 0, ge=0)
    skipped: int = described("Contacts left out because a lookup cannot help now.", 0, ge=0)
    calls: int = described("API calls used.", 1, ge=0)
    cacheHits: int = described("Contacts found in the cache.", 0, ge=0)
    secondsLeft: int | None = described(
        "Estimated seconds left; null when the job has ended or without an estimate.", 20
    )
    newMessages: int | None = described("New messages that a sync stored so far; null for other jobs.", 61, ge=0)
    notGiven: NotGiven | None = described(
        "Messages that a sync could not fetch, known once it has ended; null for other jobs."
    )


class LeftOut(ResponseModel):
    """Contacts that a retry leaves out because it cannot help them."""

    reason: JobItemReason = described("Why their lookups failed.", "consent")
    contacts: int = described("Contacts left out for this reason.", 1, ge=1)


class RetriedJob(Job):
    """A job and what its retry does."""

    retried: int = described("Contacts to look up again.", 2, ge=0)
    leftOut: list[LeftOut] = described("Contacts left out, by reason.")


class StaysUnknown(ResponseModel):
    """Unknown contacts that a job is not expected to name."""

    reason: LookupReason = described(
        "Why their last lookup failed. `never_tried`: not looked up yet, and expected to fail.", "consent"
    )
    count: int = described("Contacts with this reason.", 31, ge=1)


class JobPlan(ResponseModel):
    """What a job would do if it started now."""

    certainty: PlanCertainty = described("How sure the numbers are.", "exact")
    people: int = described("Unknown contacts.", 214, ge=0)
    nameable: int | None = described("Unknown contacts that can be named; null while that is not knowable.", 171)
    staysUnknown: list[StaysUnknown] = described("Unknown contacts that will stay unknown, by reason, most first.")
    lookedUp: int = described("Contacts that the job looks up; it skips the others.", 183, ge=0)
    calls: int = described("Estimated API calls.", 26, ge=0)
    budgetShare: float = described("`calls` as a share of one hour's API call budget.", 0.13, ge=0)
    startsAt: Time | None = described("When calls can be made, if the budget is used up now; null otherwise.")
    doneBy: Time | None = described("Estimated end, pauses for the budget included; null without an estimate.")
    countedAt: Time | None = described(
        "When the contacts were counted, for accounts with very many; null when they were counted for this response."
    )
    activeJobId: str | None = described("The active backfill of the account, which prevents a second one; else null.")


class JobList(ResponseModel):
    """Active jobs first, then the newest that ended."""

    data: list[Job] = described("The jobs.")


class UnresolvedContact(ResponseModel):
    """A contact that a job did not resolve."""

    participantPlatformId: str = described(CONTACT_ID, A_CONTACT)
    reason: str = described("What happened, in one sentence.", "Instagram did not answer in time")


class JobResult(ResponseModel):
    """The result of a job that ended within the time of the `Prefer: wait` header."""

    jobId: str = described(JOB_ID, A_JOB)
    refreshed: int = described("Contacts resolved or already fresh.", 2, ge=0)
    failed: int = described("Contacts not resolved.", 1, ge=0)
    total: int = described("Contacts in the job.", 3, ge=0)
    errors: list[UnresolvedContact] = described("The first 50 contacts that were not resolved.")


class JobItem(ResponseModel):
    """A contact in a job."""

    participantPlatformId: str | None = described(f"{CONTACT_ID} Null for a contact that was deleted.", A_CONTACT)
    displayName: str = described(DISPLAY_NAME, "@lea.moreau")
    previousName: str | None = described("The display name before the job changed it, else null.", "@user_000011")
    state: JobItemState = described("State of the contact in this job.", "resolved")
    reason: JobItemReason | None = described("Why the contact is not resolved, null when resolved or not tried yet.")
    code: str | None = described("Meta's error code, or a word for an error without a code.", "9010")
    tries: int = described("Lookups made.", 1, ge=0)
    calls: int = described("API calls used.", 1, ge=0)
    seconds: float = described("Seconds that the job spent on the contact.", 0.4, ge=0)
    settledAt: Time | None = described("When the job was done with the contact, null before.")
    nextTryAt: Time | None = described(NEXT_LOOKUP_AT)
    newMessages: int = described("New messages that a sync stored.", 0, ge=0)
    notGiven: NotGiven = described("Messages that a sync could not fetch.")


class JobItemPage(ResponseModel):
    """A page of the contacts in a job, in the order of their lookups."""

    data: list[JobItem] = described("The contacts of this page.")
    nextCursor: str | None = described(NEXT_CURSOR)


class ScheduleResult(ResponseModel):
    """What the last run of a schedule did. Numbers that do not apply are absent."""

    accounts: int = Field(default_factory=int, description="Accounts that were checked, or have work for workers.")
    contacts: int = Field(default_factory=int, description="Contacts in the jobs that it started.")
    calls: int = Field(default_factory=int, description="API calls of these jobs so far.")
    tokens: int = Field(default_factory=int, description="Access tokens refreshed.")
    records: int = Field(default_factory=int, description="Records deleted.")


class ScheduleOff(ResponseModel):
    """An account for which a schedule is off."""

    accountId: str = described(ACCOUNT_ID, AN_ACCOUNT)
    offAt: Time = described("When it was switched off.")
    offBy: str = described("The user or API token that switched it off.", "crm")
    offReason: str | None = described("The reason they gave, null without one.", "Audit until Friday")


class Schedule(ResponseModel):
    """What the scheduler does on time."""

    name: str = described("The schedule's name.", "daily-refresh")
    title: str = described("The name on pages.", "Daily refresh")
    description: str = described("What it does, in sentences.")
    everySeconds: int = described("Seconds between two runs.", 3600, ge=1)
    state: ScheduleState = described("State of the schedule.", "on")
    lastAt: Time | None = described("When it last did its work, null if never.")
    result: ScheduleResult | None = described(
        "What the last run did; null before the first run, and for API tokens that do not see all accounts."
    )
    nextAt: Time | None = described("When the next run is due; null while off, and before the scheduler first ran.")
    skippedAt: Time | None = described("When a run last left out work, null if never.")
    skippedWhy: str | None = described("Why, in a sentence without its period.", "A refresh was active")
    offAt: Time | None = described("When it was switched off for all accounts, null while on.")
    offBy: str | None = described("The user or API token that switched it off, null while on.")
    offReason: str | None = described("The reason they gave, null without one and while on.", "Audit until Friday")
    offAccounts: list[ScheduleOff] = described("Accounts for which it is off also while it is on.")
    runningSince: Time | None = described("When the current run started, null while it is not running.")
    requestedAt: Time | None = described("When a run was requested that has not started yet, else null.")
    canSwitchOff: bool = described("Whether it can be switched off.", True)


class ScheduleList(ResponseModel):
    """Every schedule."""

    data: list[Schedule] = described("The schedules.")
    schedulerRuns: bool = described("Whether a scheduler has reported within 30 seconds.", True)


class Identity(ResponseModel):
    """What Nametag stores about a contact, and why something is missing."""

    id: str = described("The identity's ID.", "7")
    accountId: str = described(ACCOUNT_ID, AN_ACCOUNT)
    participantPlatformId: str = described(CONTACT_ID, A_CONTACT)
    displayName: str = described(DISPLAY_NAME, "@lea.moreau")
    username: str | None = described(USERNAME, "lea.moreau")
    name: str | None = described(NAME, "Léa Moreau")
    identityState: IdentityState = described("State of the identity.", "known")
    source: LookupSource | None = described("Where the username, else the name, came from; null while unknown.")
    lastSuccessAt: Time | None = described("When a lookup last succeeded, null when none did.")
    lastFailureAt: Time | None = described("When a lookup last failed, null when none did.")
    failureCount: int = described("Failed lookups in a row.", 0, ge=0)
    reason: LookupReason | None = described("Why the identity is unknown, or why its last lookup failed.")
    explanation: str | None = described("The reason in one sentence.")
    nextTryAt: Time | None = described(NEXT_LOOKUP_AT)


class IdentityPage(ResponseModel):
    """A page of identities, newest first."""

    data: list[Identity] = described("The identities of this page.")
    nextCursor: str | None = described(NEXT_CURSOR)


class IdentityRefresh(ResponseModel):
    """The result of a request to refresh an identity."""

    status: str = described("`queued`, or `fresh` when the contact was looked up moments ago.", "queued")
    lookedUpAt: Time | None = described("When the contact was looked up, null while queued.")


class PastLookup(ResponseModel):
    """One API call about a contact."""

    at: Time = described("When the call was made.")
    triggeredBy: str = described("What the call was made for.", "Backfill")
    httpStatus: int | None = described("The HTTP status of Meta's answer, null without one.", 200)
    code: str | None = described("Meta's error code, null without an error.", "230")
    result: str | None = described("The result in words, null without an answer.")
    durationMs: int | None = described("How long the call took, in milliseconds.", 120)


class LookupList(ResponseModel):
    """The newest 50 lookups of a contact."""

    data: list[PastLookup] = described("The lookups, newest first.")


class StoredCount(ResponseModel):
    """How many rows of one kind are stored about a contact."""

    key: str = described("The kind, as `contact.json` of the export names it.", "messages")
    count: int = described("The number of rows.", 12, ge=0)


class StoredData(ResponseModel):
    """What is stored about a contact."""

    identityId: str = described("The identity's ID.", "7")
    accountId: str = described(ACCOUNT_ID, AN_ACCOUNT)
    participantPlatformId: str = described(CONTACT_ID, A_CONTACT)
    displayName: str = described(DISPLAY_NAME, "@lea.moreau")
    counts: list[StoredCount] = described("The number of rows of each kind.")


class Receipt(ResponseModel):
    """Proof that the data of a contact was deleted. It names neither the contact nor a message."""

    id: str = described("The receipt's ID.", "417")
    deletedAt: Time = described("When the data was deleted.")
    deletedBy: str = described("Who deleted it: a user, an API token or the command line.", "crm")
    accountId: str = described(ACCOUNT_ID, AN_ACCOUNT)
    contact: str = described("A pseudonym of the contact, always the same.", "contact 3f9c1a7be2040d11")
    deleted: list[str] = described("What was deleted, or is stored without the contact, with numbers.")


class Account(ResponseModel):
    """A connected account."""

    accountId: str = described(ACCOUNT_ID, AN_ACCOUNT)
    username: str | None = described("The account's username without @, null while unknown.", "maison.lune")
    login: Login = described("The Meta login that connected the account.", "instagram")
    locationId: str | None = described("The location that the account belongs to.", "paris-1")
    state: AccountState = described("State of the account.", "connected")
    stateReason: str | None = described("What to do, in one sentence; null while connected.")
    lookupProblem: str | None = described(
        "Which calls Meta refuses at present and what to do; null when it refuses none."
    )
    connectedAt: Time | None = described("When the account was connected.")
    lastWebhookAt: Time | None = described("When Meta last delivered a webhook event, null when it never did.")
    silent: bool = described("Whether no webhook event has arrived for far longer than usual.", False)
    tokenStatus: str = described("State and life of the access token, in words.", "Expires in 52 days")
    tokenExpiresAt: Time | None = described("When the access token expires; null if it does not, or unknown.")
    reconnectSoon: bool = described("Whether the account must be reconnected now or within 7 days.", False)
    missingPermissions: list[str] = described("Permissions that the account owner did not grant.")
    subscriptionCheckedAt: Time | None = described("When the webhook subscription was last checked.")
    missingSubscriptions: list[str] = described("Webhook fields that Meta does not deliver.")
    refusedSubscriptions: dict[str, str] = described("Webhook fields that Meta refuses, each with its message.")
    subscriptionProblem: str | None = described("Why no messages arrive; null while they do.")
    lastSyncedAt: Time | None = described("When a conversation sync last ended.")
    alertsMutedAt: Time | None = described("When its alerts were muted, null while they are sent.")
    alertsMutedBy: str | None = described("The user or API token that muted them, null while they are sent.")


class AccountCheck(ResponseModel):
    """The result of a check of an account with Meta."""

    accountId: str = described(ACCOUNT_ID, AN_ACCOUNT)
    works: bool = described("Whether the access token works and messages arrive.", True)
    problem: str | None = described("Why messages do not arrive, null while they do.")
    warning: str | None = described("What else is missing, null when nothing is.")


class ReasonCount(ResponseModel):
    """Failed lookups with one reason."""

    reason: str = described("The reason, in words.", "Profile consent")
    lookups: int = described("The number of lookups.", 31, ge=0)


class InsightsEntry(ResponseModel):
    """One hour or day of the figures."""

    at: Time = described("When the hour or day begins.")
    withUsername: int = described("Contacts with a username at its end.", 190, ge=0)
    withName: int = described("Contacts with a name only.", 12, ge=0)
    unknown: int = described("Contacts without a name.", 12, ge=0)
    messages: int = described("Messages from contacts.", 80, ge=0)
    lookups: int = described("Profile calls that were made for them.", 9, ge=0)


class Insights(ResponseModel):
    """Figures of one or more accounts over a period. Null means that there is no data."""

    period: str = described("`day`, `week` or `month`.", "month")
    contacts: int = described("All contacts.", 214, ge=0)
    withUsername: int = described("Contacts with a username.", 190, ge=0)
    unknown: int = described("Contacts without a name.", 12, ge=0)
    usernamePercent: float | None = described("Percentage of contacts with a username.", 88.8)
    cachePercent: float | None = described("Percentage of messages of 24 hours whose sender was already known.", 91.0)
    identifiedP95Ms: int | None = described("Time to identify a new contact, 95th percentile, in milliseconds.", 420)
    callsUsed: int | None = described("API calls in the last 60 minutes.", 36)
    callsPerHour: int | None = described("The API call budget.", 200)
    failures: list[ReasonCount] = described("Failed lookups of the period by reason, most first.")
    history: list[InsightsEntry] = described("Hours of one day, else days, oldest first.")


class DeadLetterEntry(ResponseModel):
    """A webhook event that could not be processed."""

    id: str = described("The dead letter's ID.", "12")
    receivedAt: Time = described("When it was received.")
    reason: str = described("The kind of failure.", "unknown_account")
    explanation: str = described("The reason in one sentence.")
    accountId: str | None = described("The professional account ID that the event names, null without one.", AN_ACCOUNT)
    times: int = described("How often the same event was received.", 1, ge=1)


class DeadLetter(DeadLetterEntry):
    """A dead letter with its content."""

    raw: str = described("The event as received, with access tokens redacted.")


class DeadLetterPage(ResponseModel):
    """A page of dead letters, newest first."""

    data: list[DeadLetterEntry] = described("The dead letters of this page.")
    nextCursor: str | None = described(NEXT_CURSOR)


class Replay(ResponseModel):
    """The result of a replay. Processed dead letters are deleted."""

    processed: int = described("The number of processed dead letters.", 12, ge=0)
    failed: int = described("The number that failed again.", 0, ge=0)
    nextCursor: str | None = described("Pass it as `cursor` to replay the next ones; null when all were tried.")


class Gap(ResponseModel):
    """A period in which an account got no webhooks."""

    id: str = described("The gap's ID.", "7")
    accountId: str = described(ACCOUNT_ID, AN_ACCOUNT)
    from_: Time = described("When the last webhook had arrived, or a sync was complete.", alias="from")
    to: Time | None = described("When webhooks arrived again, null while they do not.")
    causes: list[GapCause] = described("Why no webhooks arrived.", ["outage"])
    state: GapState = described("State of the gap.", "closed_with_losses")
    jobId: str | None = described("The sync that read the gap, null before it started.", A_JOB)
    conversations: int = described("Conversations with fetched messages.", 23, ge=0)
    fetched: int = described("Messages of the gap that were fetched.", 61, ge=0)
    history: int = described("Fetched messages that were older than 7 days, and count as read.", 0, ge=0)
    notGiven: NotGiven = described("Messages that could not be fetched.")
    closedAt: Time | None = described("When the sync had read the gap, null before.")
    dismissedBy: str | None = described("The user who dismissed the report in the inbox, else null.")
    dismissedAt: Time | None = described("When it was dismissed, else null.")


class GapList(ResponseModel):
    """The gaps of an account, newest first."""

    data: list[Gap] = described("The newest 100 gaps.")


class AccountList(ResponseModel):
    """The connected accounts that the API token may see."""

    data: list[Account] = described("The accounts, by username.")


class HealthFinding(ResponseModel):
    """The result of one health check."""

    check: str = described("What was checked.", "redis")
    level: HealthLevel = described("Result of the check.", "error")
    message: str = described("What the check found, in one sentence.", "Eviction policy is allkeys-lru")
    fix: str | None = described("What to do, null if nothing.", "Set maxmemory-policy to noeviction.")
    key: str = described("The kind of finding; together with `accountId` it is unique.", "redis.eviction")
    accountId: str | None = described(f"{ACCOUNT_ID} Null for a finding about the installation.", AN_ACCOUNT)
    since: Time = described("Since when each run of the checks has found it.")


class HealthReport(ResponseModel):
    """The findings of the last run of the health checks."""

    state: HealthState = described("The worst level of the findings.", "ok")
    checkedAt: Time | None = described("When the checks last ran, null if they never did.")
    notice: str | None = described("Why the state is `unknown`, and what to do; null otherwise.")
    findings: list[HealthFinding] = described("The findings that the API token may see.")


class Alert(ResponseModel):
    """A problem of an account or of the installation."""

    id: str = described("The alert's ID.", "12")
    kind: AlertKind = described("What it is about; with `accountId` unique among open alerts.", "token_rejected")
    title: str = described("The kind in words.", "Access token rejected")
    level: HealthLevel = described("The worst level of its findings.", "error")
    state: AlertState = described("State of the alert.", "open")
    accountId: str | None = described(f"{ACCOUNT_ID} Null for an alert about the installation.", AN_ACCOUNT)
    text: str = described("What is wrong, in one sentence.", "Expired. Reconnect the account.")
    fix: str | None = described("What to do, null if nothing.", "Reconnect the account.")
    openedAt: Time = described("When it was opened first.")
    seenAt: Time = described("When it was last found, to the minute.")
    recoveredAt: Time | None = described("When it recovered, null while open.")
    times: int = described("How often it was opened. One that returns within 30 minutes is the same alert.", 1, ge=1)
    acknowledgedAt: Time | None = described("When a user acknowledged it, else null.")
    acknowledgedBy: str | None = described("The user or API token that acknowledged it, else null.")
    muted: bool = described("Whether the alerts of its account are muted: they are sent to no receiver.", False)


class AlertList(ResponseModel):
    """Alerts."""

    data: list[Alert] = described("Open alerts, newest first, then recovered ones, the last recovered first.")


class MutedAlerts(ResponseModel):
    """Whether the alerts of an account are muted."""

    accountId: str = described(ACCOUNT_ID, AN_ACCOUNT)
    mutedAt: Time | None = described("When they were muted, null while they are sent.")
    mutedBy: str | None = described("The user or API token that muted them, null while they are sent.", "token crm")


class AlertReceiver(ResponseModel):
    """A URL or an email address that alerts are sent to."""

    id: str = described("The alert receiver's ID.", "1")
    kind: ReceiverKind = described("Whether it is a URL or an email address.", "url")
    address: str = described("The URL or email address.", "https://example.com/alerts")
    events: list[AlertEvent] = described("What it is sent.", ["alert.opened", "alert.recovered"])
    accountIds: list[str] | None = described(
        "The professional account IDs whose alerts it gets; null: all, and those of the installation."
    )
    quietHours: str | None = described("When nothing is sent, null without.", "22:00-07:00")
    zone: str | None = described("The time zone of the quiet hours, null without.", "Europe/Paris")
    createdAt: Time = described("When it was added.")
    disabledAt: Time | None = described("When it answered 410 Gone and was switched off, null while on.")
    lastState: AlertDeliveryState | None = described("State of the newest delivery, null without one.", "delivered")
    lastAt: Time | None = described("When that delivery ended, or was queued.")
    lastError: str | None = described("Why its last attempt failed, else null.", "it answered 500")
    oldSecretUntil: Time | None = described("Until when the old secret signs, too; null without a rotation.")


class AlertReceiverList(ResponseModel):
    """Every alert receiver."""

    data: list[AlertReceiver] = described("The alert receivers, the oldest first.")


class NewAlertReceiver(AlertReceiver):
    """An alert receiver with its secret, which no other answer contains."""

    secret: str | None = described("What its requests are signed with. Null for an email address.", "whsec_…")


class FieldError(ResponseModel):
    """A validation error of one field."""

    field: str = described("The field's name.", "limit")
    detail: str = described("What the field must be.", "Must be less than or equal to 100")


class Problem(ResponseModel):
    """A problem document (RFC 9457)."""

    type: str = described("Always `about:blank`: the status names the kind of problem.", "about:blank")
    title: str = described("The HTTP status phrase.", "Conflict")
    status: int = described("The HTTP status.", 409)
    detail: str = described(
        "What happened, and what to do.",
        f"Backfill profiles, started at 2026-11-20 09:29 UTC, has not ended (job {A_JOB}). Nothing was started. "
        "Wait until it ends, or cancel it.",
    )
    errors: list[FieldError] = Field(default_factory=list, description="The wrong fields; present with status 422.")
    jobId: str = Field(default_factory=str, description="The running job; present with status 409 on starting a job.")


def a_file(description: str, content_type: str) -> Any:
    """Describe a response with a binary file, for the API document."""
    kinds = (content_type, BINARY)  # code generators recognize binary data by the second type
    return {
        "description": description,
        "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in kinds},
    }


STATUSES = (400, 401, 403, 404, 405, 409, 413, 415, 422, 429, 503)
_RETRY_AFTER = {
    "Retry-After": {"description": "Seconds to wait before the next request.", "schema": {"type": "integer"}}
}
PROBLEMS: dict[Any, Any] = {
    status: {
        "description": problem_details.title(status),
        "content": {problem_details.CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    | ({"headers": _RETRY_AFTER} if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE) else {})
    for status in STATUSES
}
