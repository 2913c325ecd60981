"""The only way to Meta: breaker, budget, lookup row, call, and what the answer teaches. Never inside a transaction."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from sqlalchemy import select, update

from app import clock, settings
from app.calls import breaker, budget
from app.calls.budget import Grant
from app.db import transaction
from app.db.engine import db
from app.db.types import Secret, SecretUnreadable
from app.errors import NotFound, Unavailable
from app.instagram import client
from app.instagram.answers import ConversationPage, Me, Profile
from app.instagram.client import PROFILE_FIELDS, Credential
from app.instagram.errors import CallFailed, Reason, Scope
from app.models.identity import Lookup, Purpose
from app.models.inbox import Account, AccountState, Login

logger = logging.getLogger(__name__)

ME = "me"
PAGE_SECONDS = 20.0  # large pages take their time (instagram-platform.md 8)
UNREADABLE = "The stored token cannot be read with the configured keys; restore the key or reconnect the account"
NO_TOKEN = "The account has no token; reconnect the account"  # noqa: S105 - a sentence
OTHER_ACCOUNT = "The token belongs to another account; reconnect the account"
ANSWER_CHARACTERS = 200
ACCOUNT_WEBHOOKS = (
    *("messages", "message_reactions", "message_edit", "messaging_seen", "messaging_postbacks", "messaging_referral"),
    "standby",
)  # instagram-platform.md 3
PAGE_WEBHOOKS = ("messages", "message_reactions", "messaging_postbacks", "standby")  # a Page refuses the others

Answer = TypeVar("Answer", Profile, ConversationPage, Me)


@dataclass(frozen=True, slots=True)
class _Call:
    account_id: int
    name: str
    purpose: Purpose
    ig_participant_id: str | None = None
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class _Account:
    id: int
    ig_account_id: str
    login: Login
    ig_page_id: str | None
    token: Secret | None
    state: AccountState
    state_reason: str | None

    @property
    def node(self) -> str:
        """Whose conversations are read (instagram-platform.md 1)."""
        return self.ig_page_id or ME if self.login is Login.FACEBOOK else ME


def profile(account_id: int, ig_participant_id: str, *, purpose: Purpose, run_id: str | None = None) -> Profile:
    """Return one participant's profile; a field that Instagram refuses is left out by a further, counted call.

    Raises Exhausted (nothing was asked) or CallFailed (it was, and brought nothing); NotFound without such an account.
    """
    return _profile(_Call(account_id, budget.PROFILE, purpose, ig_participant_id, run_id), PROFILE_FIELDS)


def conversations(
    account_id: int,
    *,
    purpose: Purpose,
    limit: int,
    after: str | None = None,
    messages: int = 0,
    run_id: str | None = None,
) -> ConversationPage:
    """Return one page of the account's conversations, newest first, each with its newest `messages`.

    Raises as `profile` does.
    """
    call = _Call(account_id, budget.CONVERSATIONS, purpose, run_id=run_id)

    def ask(credential: Credential, node: str) -> ConversationPage:
        patient = replace(credential, timeout_seconds=PAGE_SECONDS)
        return client.conversations(patient, node, limit=limit, after=after, messages=messages)

    return _counted(call, ask)


def me(account_id: int) -> Me:
    """Ask whom the account's token belongs to, through an open breaker and uncounted; a good answer closes the breaker.

    Raises CallFailed, also when the token is another account's; NotFound without such an account.
    """
    account = _account(account_id)
    credential = _credential(account)
    answer = _made(
        _Call(account_id, ME, Purpose.CHECK), account, lambda: _own(account, _whose(account.login, credential))
    )
    breaker.proved(account_id, token=account.token)
    return answer


def try_token(login: Login, token: str) -> Me:
    """Return whom a token belongs to that no account has yet; neither counted nor noted. Raises CallFailed."""
    _refuse_inside_transaction()
    return _whose(login, _with(login, token))


def missing_subscriptions(account_id: int, *, mend: bool) -> tuple[str, ...]:
    """Return the webhook fields that the account is not subscribed to, and subscribe it to them if `mend`.

    Neither counted nor noted: without a subscription nothing arrives. Raises CallFailed; NotFound without an account.
    """
    account = _account(account_id)
    credential = _credential(account)
    wanted = PAGE_WEBHOOKS if account.login is Login.FACEBOOK else ACCOUNT_WEBHOOKS
    present = client.subscribed_fields(credential, account.node)
    missing = tuple(field for field in wanted if field not in present)
    if missing and mend:
        client.subscribe(credential, account.node, wanted)
    return missing


def _profile(call: _Call, fields: tuple[str, ...]) -> Profile:
    person = call.ig_participant_id or ""
    try:
        return _counted(call, lambda credential, _: client.profile(credential, person, fields))
    except CallFailed as failure:
        fewer = tuple(field for field in fields if field != failure.field)
        if not fewer or fewer == fields:
            raise
    return _profile(call, fewer)


def _counted(call: _Call, ask: Callable[[Credential, str], Answer]) -> Answer:
    account = _account(call.account_id)
    breaker.check(call.account_id, state=account.state, state_reason=account.state_reason)
    credential = _credential(account)
    grant = budget.spend(call.account_id, call=call.name, purpose=call.purpose)
    return _made(call, account, lambda: ask(credential, account.node), grant)


def _made(call: _Call, account: _Account, ask: Callable[[], Answer], grant: Grant | None = None) -> Answer:
    row_id = _noted(call, at=grant.at if grant else clock.now())
    if grant:
        budget.confirm(grant)
    began = clock.monotonic()
    try:
        answer = ask()
    except CallFailed as failure:
        _settle(row_id, began, http_status=failure.http_status, code=failure.code, answer=failure.sentence)
        budget.observe(call.account_id, failure.usage)
        breaker.failed(call.account_id, failure, token=account.token)
        raise
    _settle(row_id, began, http_status=200, code=None, answer=_summary(answer))
    budget.observe(call.account_id, answer.usage)
    breaker.answered(call.account_id, answer.usage)
    return answer


def _account(account_id: int) -> _Account:
    _refuse_inside_transaction()
    db.session.rollback()  # a read that began earlier might not see a new token
    columns = (Account.id, Account.ig_account_id, Account.login, Account.ig_page_id, Account.token)
    found = select(*columns, Account.state, Account.state_reason).where(Account.id == account_id)
    row = db.session.execute(found).one_or_none()
    if row is None:
        raise NotFound("account")
    return _Account(*row)


def _refuse_inside_transaction() -> None:
    if transaction.is_open():
        raise RuntimeError("a call to Meta may take seconds; it must not be made while a transaction is open")


def _credential(account: _Account) -> Credential:
    try:
        token = account.token.reveal() if account.token else ""
    except SecretUnreadable:
        failure = CallFailed(Scope.ACCOUNT, Reason.TOKEN, "unreadable", UNREADABLE)
    else:
        if token:
            return _with(account.login, token)
        failure = CallFailed(Scope.ACCOUNT, Reason.TOKEN, "no_token", NO_TOKEN)
    breaker.failed(account.id, failure, token=account.token)
    raise failure


def _with(login: Login, token: str) -> Credential:
    chosen = settings.current()
    facebook = login is Login.FACEBOOK
    return Credential(
        host_url=chosen.graph_facebook_url if facebook else chosen.graph_instagram_url,
        version=chosen.graph_api_version,
        token=token,
        timeout_seconds=chosen.graph_timeout_seconds,
        app_secret=chosen.meta_app_secrets[0] if facebook else None,
    )


def _whose(login: Login, credential: Credential) -> Me:
    return client.page(credential) if login is Login.FACEBOOK else client.me(credential)


def _own(account: _Account, answer: Me) -> Me:
    if answer.ig_account_id != account.ig_account_id:
        raise CallFailed(Scope.ACCOUNT, Reason.TOKEN, "other_account", OTHER_ACCOUNT, http_status=200)
    return answer


def _noted(call: _Call, *, at: datetime) -> int:
    with transaction.write() as tx:
        row = tx.insert(Lookup).values(
            account_id=call.account_id,
            call=call.name,
            purpose=call.purpose,
            ig_participant_id=call.ig_participant_id,
            run_id=call.run_id,
            at=at,
        )
        return int(tx.execute(row.returning(Lookup.id)).scalar_one())


def _settle(row_id: int, began: float, *, http_status: int | None, code: str | None, answer: str) -> None:
    values = {"http_status": http_status, "code": code, "answer": answer[:ANSWER_CHARACTERS]}
    took_ms = round((clock.monotonic() - began) * 1000)
    try:
        with transaction.write() as tx:
            tx.execute(update(Lookup).where(Lookup.id == row_id).values(took_ms=took_ms, **values))
    except Unavailable:
        logger.warning("the answer to lookup %s could not be noted", row_id)  # it counts as spent all the same


def _summary(answer: Profile | ConversationPage | Me) -> str:
    if isinstance(answer, ConversationPage):
        return f"{len(answer.threads)} conversations"
    if isinstance(answer, Me):
        return "The token works"
    known = {"username": answer.username, "name": answer.name, "picture": answer.picture_url}
    return ", ".join(field for field, value in known.items() if value) or "nothing but the id"
