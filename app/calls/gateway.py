"""Make calls to Meta for an account: check the circuit breaker and budget, log the call, record the result.

Never inside a transaction.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from app import clock
from app.calls import budget, call_log, circuit_breaker, credentials, refusals
from app.calls.budget import Grant
from app.calls.call_log import Call
from app.calls.credentials import MetaAccount
from app.db import transaction
from app.instagram import client, oauth
from app.instagram.client import PROFILE_FIELDS
from app.instagram.credential import Credential
from app.instagram.errors import GraphAPIError, Reason, Scope
from app.instagram.oauth import IssuedToken
from app.instagram.responses import ConversationListPage, MessageIds, Profile, TokenOwner
from app.models.account import Login
from app.models.call import Purpose

logger = logging.getLogger(__name__)

ME = "me"
SUBSCRIBED_APPS = "subscribed_apps"
REFRESH = "refresh"
DEBUG_TOKEN = "debug_token"  # noqa: S105 - the name of a call
PAGE_SECONDS = 20.0  # large pages are slow (docs/meta-platform.md#conversations-api)
OTHER_ACCOUNT = "The stored access token belongs to another account. Reconnect the account"
WEBHOOKS = {
    Login.INSTAGRAM: (
        *("messages", "message_reactions", "message_edit", "messaging_seen", "messaging_postbacks"),
        *("messaging_referral", "standby"),
    ),
    Login.FACEBOOK: (
        "messages",
        "message_reactions",
        "messaging_postbacks",
        "standby",
    ),  # Meta refuses the others for a Page
    Login.UNIFIED: ("messages", "message_reactions", "messaging_seen", "messaging_postbacks", "messaging_referral"),
}  # docs/meta-platform.md#webhook-subscription

Answer = TypeVar("Answer", Profile, ConversationListPage, MessageIds, TokenOwner)
Uncounted = TypeVar("Uncounted")


def profile(account_id: int, ig_participant_id: str, *, purpose: Purpose, run_id: str | None = None) -> Profile:
    """Return one participant's profile; if Instagram refuses a field, repeat the call without it (counted).

    Raises RetryLater (no call was made), GraphAPIError (the call failed) and NotFound (no such account).
    """
    return _profile(Call(account_id, budget.PROFILE, purpose, ig_participant_id, run_id), PROFILE_FIELDS)


def conversations(
    account_id: int,
    *,
    purpose: Purpose,
    limit: int,
    after: str | None = None,
    messages: int = 0,
    ids_only: bool = False,
    run_id: str | None = None,
) -> ConversationListPage:
    """Return one page of the account's conversations, newest first, each with its newest `messages` or its ID alone.

    Raises as `profile` does.
    """
    call = Call(account_id, budget.CONVERSATIONS, purpose, run_id=run_id)

    def ask(credential: Credential, node: str) -> ConversationListPage:
        patient = replace(credential, timeout_seconds=PAGE_SECONDS)
        return client.conversations(patient, node, limit=limit, after=after, messages=messages, ids_only=ids_only)

    return _call_counted(call, ask)


def message_ids(
    account_id: int, ig_conversation_id: str, *, purpose: Purpose, limit: int, run_id: str | None = None
) -> MessageIds:
    """Return the IDs and times of a conversation's newest messages; raises as `profile` does."""
    call = Call(account_id, budget.CONVERSATIONS, purpose, run_id=run_id)
    return _call_counted(call, lambda credential, _: client.message_ids(credential, ig_conversation_id, limit=limit))


def token_owner(account_id: int) -> TokenOwner:
    """Check the account's token and return its owner; a success closes the circuit breaker.

    The call is made even with an open circuit and is not counted. Raises GraphAPIError, also for a token of another
    account; NotFound without the account.
    """
    account = credentials.account(account_id)
    credential = credentials.credential_for(account)
    answer = _call(Call(account_id, ME, Purpose.CHECK), account, lambda: _verified_owner(account, credential))
    circuit_breaker.record_valid_token(account_id, token=account.token)
    with transaction.write() as tx:
        refusals.retry_now(tx, account_id)
    return replace(answer, owner_id=_authorizing_user(account.login, credential, account_id=account_id))


def owner_of_new_token(login: Login, token: str) -> TokenOwner:
    """Return the owner of a token before its account is connected; the call is neither counted nor logged.

    Raises GraphAPIError.
    """
    credentials.refuse_inside_transaction()
    credential = credentials.credential_with_token(login, token)
    return replace(_token_owner(login, credential), owner_id=_authorizing_user(login, credential))


def missing_subscriptions(account_id: int) -> tuple[str, ...]:
    """Return the webhook fields that the account is not subscribed to.

    Logged but not counted. Raises GraphAPIError; NotFound without the account.
    """
    account = credentials.account(account_id)
    credential = credentials.credential_for(account)
    call = Call(account_id, SUBSCRIBED_APPS, Purpose.CHECK)
    present = _call_uncounted(
        call, account, lambda: client.subscribed_fields(credential, account.node), "Webhook subscription read"
    )
    return tuple(field for field in WEBHOOKS[account.login] if field not in present)


def subscribe(account_id: int) -> dict[str, GraphAPIError]:
    """Subscribe the account to its webhook fields; return the fields that Meta refuses, with the failure.

    Meta accepts all fields of a call or none. A field refused by name is left out of the next call; without a name the
    fields are tried one by one. Logged but not counted. Raises GraphAPIError if no field could be subscribed.
    """
    account = credentials.account(account_id)
    credential = credentials.credential_for(account)
    call = Call(account_id, SUBSCRIBED_APPS, Purpose.CHECK)

    def ask(fields: tuple[str, ...]) -> None:
        _call_uncounted(call, account, lambda: client.subscribe(credential, account.node, fields), "Subscribed")

    fields, refused = WEBHOOKS[account.login], dict[str, GraphAPIError]()
    while True:
        try:
            ask(fields)
        except GraphAPIError as failure:
            if failure.field in fields and len(fields) > 1:
                refused[failure.field] = failure
                fields = tuple(field for field in fields if field != failure.field)
            elif failure.reason in (Reason.REFUSED, Reason.FIELD) and len(fields) > 1:
                return refused | _subscribed_one_by_one(ask, fields)
            else:
                raise
        else:
            return refused


def account_picture_url(account_id: int) -> str | None:
    """Return the URL of the account's own picture, None without one; the call is logged but not counted.

    Raises GraphAPIError; NotFound without the account.
    """
    account = credentials.account(account_id)
    credential = credentials.credential_for(account)
    node = ME if account.login is Login.INSTAGRAM else account.ig_account_id
    return _call_uncounted(
        Call(account_id, ME, Purpose.CHECK),
        account,
        lambda: client.account_picture_url(credential, node),
        "Picture of the account read",
    )


def refresh_token(account_id: int) -> IssuedToken:
    """Return a new token of 60 days for an Instagram Login account; the call is logged but not counted.

    Raises GraphAPIError; NotFound without the account.
    """
    account = credentials.account(account_id)
    credential = credentials.credential_for(account)
    return _call_uncounted(
        Call(account_id, REFRESH, Purpose.CHECK),
        account,
        lambda: oauth.refresh_long_lived(credential),
        "Access token refreshed",
    )


def _profile(call: Call, fields: tuple[str, ...]) -> Profile:
    ig_participant_id = call.ig_participant_id or ""
    try:
        return _call_counted(call, lambda credential, _: client.profile(credential, ig_participant_id, fields))
    except GraphAPIError as failure:
        fewer = tuple(field for field in fields if field != failure.field)
        if not fewer or fewer == fields:
            raise
    return _profile(call, fewer)


def _call_counted(call: Call, ask: Callable[[Credential, str], Answer]) -> Answer:
    account = credentials.account(call.account_id)
    circuit_breaker.check(call.account_id, state=account.state, state_reason=account.state_reason)
    probing = refusals.check(call)
    credential = credentials.credential_for(account)
    grant = budget.spend(call.account_id, call=call.name, purpose=call.purpose)
    return _call(call, account, lambda: ask(credential, account.node), grant, probing=probing)


def _call(
    call: Call, account: MetaAccount, ask: Callable[[], Answer], grant: Grant | None = None, *, probing: bool = False
) -> Answer:
    logged = call_log.begin(call, at=grant.at if grant else clock.now())
    if grant:
        budget.confirm(grant)
    try:
        answer = ask()
    except GraphAPIError as failure:
        call_log.finish(logged, http_status=failure.http_status, code=failure.code, answer=failure.sentence)
        budget.observe(call.account_id, failure.usage)
        refused = refusals.record_failure(call, failure) if grant else None
        if refused:
            circuit_breaker.record_response(call.account_id, failure.usage)
            raise refused from None
        if grant or failure.reason is not Reason.PERMISSION:  # one for `/me` does not affect other calls
            circuit_breaker.record_failure(call.account_id, failure, token=account.token)
        if probing and failure.scope in (Scope.CONTACT, Scope.FIELD, Scope.CONTRACT):
            refusals.record_success(call)
        raise
    call_log.finish(logged, http_status=200, code=None, answer=call_log.summary(answer))
    budget.observe(call.account_id, answer.usage)
    circuit_breaker.record_response(call.account_id, answer.usage)
    if probing:
        refusals.record_success(call)
    return answer


def _call_uncounted(call: Call, account: MetaAccount, ask: Callable[[], Uncounted], result: str) -> Uncounted:
    # Not a lookup, so not counted. Of its failures only a rejected token affects other calls.
    logged = call_log.begin(call, at=clock.now())
    try:
        answer = ask()
    except GraphAPIError as failure:
        call_log.finish(logged, http_status=failure.http_status, code=failure.code, answer=failure.sentence)
        if failure.reason is Reason.TOKEN:
            circuit_breaker.record_failure(call.account_id, failure, token=account.token)
        raise
    call_log.finish(logged, http_status=200, code=None, answer=result)
    return answer


def _token_owner(login: Login, credential: Credential) -> TokenOwner:
    return client.page_token_owner(credential) if login is Login.FACEBOOK else client.token_owner(credential)


def _authorizing_user(login: Login, credential: Credential, *, account_id: int | None = None) -> str | None:
    """Return the app-scoped ID of the user who authorized a token of Facebook's host, None if unknown."""
    if login is Login.INSTAGRAM:
        return None
    logged = call_log.begin(Call(account_id, DEBUG_TOKEN, Purpose.CHECK), at=clock.now()) if account_id else None
    try:
        owner, failure = client.token_info(credentials.debug_credential(credential), credential.token).user_id, None
    except GraphAPIError as caught:
        owner, failure = None, caught
        logger.warning("owner of an access token not read", extra={"account": account_id, "reason": str(caught)})
    if logged and failure:
        call_log.finish(logged, http_status=failure.http_status, code=failure.code, answer=failure.sentence)
    elif logged:
        call_log.finish(logged, http_status=200, code=None, answer="Owner of the access token read")
    return owner


def _subscribed_one_by_one(ask: Callable[[tuple[str, ...]], None], fields: tuple[str, ...]) -> dict[str, GraphAPIError]:
    accepted, refused = tuple[str, ...](), dict[str, GraphAPIError]()
    for field in fields:
        try:
            ask((*accepted, field))  # each call replaces the subscription
        except GraphAPIError as failure:
            if failure.reason not in (Reason.REFUSED, Reason.FIELD):
                raise
            refused[field] = failure
        else:
            accepted = (*accepted, field)
    if not accepted:
        raise refused[fields[0]]
    return refused


def _verified_owner(account: MetaAccount, credential: Credential) -> TokenOwner:
    if account.login is Login.UNIFIED:
        return client.professional_account(credential, account.ig_account_id)
    answer = _token_owner(account.login, credential)
    if answer.ig_account_id != account.ig_account_id:
        raise GraphAPIError(Scope.ACCOUNT, Reason.TOKEN, "other_account", OTHER_ACCOUNT, http_status=200)
    return answer
