"""Webhook subscriptions: check and subscribe fields, and store which ones Meta refuses, with its message."""

import logging
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from sqlalchemy import select, update

from app import clock, gaps, logs, text
from app.accounts.listing import ListedAccount
from app.calls import gateway
from app.db import transaction
from app.db.engine import db
from app.errors import NotFound, RetryLater
from app.instagram.errors import GraphAPIError, Reason
from app.models.account import Account, AccountState, Login
from app.models.gap import GapCause

logger = logging.getLogger(__name__)

MESSAGES = "messages"  # without this field no message arrives
MESSAGE_CHARACTERS = 300
REFUSALS = (Reason.PERMISSION, Reason.REFUSED, Reason.FIELD, Reason.NOT_VISIBLE)  # other failures are temporary
REMEDIES = {
    Login.INSTAGRAM: "Add instagram_business_manage_messages to the app at Meta, then reconnect the account.",
    Login.FACEBOOK: "Add pages_messaging to the app at Meta, then reconnect the account and allow every permission.",
    Login.UNIFIED: "Add instagram_manage_messages to the app at Meta, then create a new access token.",
}
NEWER_LOGIN = "Update Nametag: a newer version connected this account."
_LISTS = re.compile(r"\{[^{}]{40,}\}")  # Meta lists all of its about ninety fields


@dataclass(frozen=True, slots=True)
class Subscription:
    """An account's webhook subscription. `missing` fields are not delivered.

    `refused` maps those that Meta refuses to its message. `problem` is Meta's message while no messages arrive;
    `unknown` says why the check failed.
    """

    login: Login
    missing: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    problem: str | None = None
    unknown: str | None = None

    @property
    def remedy(self) -> str:
        """What to do about `problem`, in sentences."""
        return REMEDIES.get(self.login, NEWER_LOGIN)

    @property
    def lost(self) -> tuple[str, ...]:
        """The fields that are missing although Meta did not refuse them."""
        return tuple(each for each in self.missing if each not in self.refused)

    @property
    def delivers_messages(self) -> bool:
        """Whether messages arrive, as far as is known."""
        return self.problem is None and MESSAGES not in self.missing

    @property
    def error(self) -> str | None:
        """Why messages or events do not arrive, in a sentence without its period, or None."""
        if self.problem:
            return f"Meta refused the webhook subscription, so no messages arrive: “{self.problem}”"
        return f"Not subscribed to {', '.join(self.lost)}" if self.lost else None

    @property
    def warning(self) -> str | None:
        """Which fields Meta refuses while messages arrive, in a sentence without its period, or None."""
        if self.problem or not self.refused:
            return None
        messages = "; ".join(dict.fromkeys(self.refused.values()))
        return f"Meta refuses the webhook field {', '.join(self.refused)}: “{messages}”"

    @property
    def complete(self) -> bool:
        """Whether no field is known to be missing."""
        return not (self.problem or self.missing or self.refused)


def stored_subscription(account: ListedAccount) -> Subscription:
    """Return the stored result of the last check. Makes no API call."""
    missing, refused = account.missing_subscriptions, account.refused_subscriptions
    return Subscription(account.login, tuple(missing or ()), refused or {}, account.subscription_problem)


def check(account_id: int, *, retry_refused: bool = True) -> Subscription:
    """Check an account's subscription at Meta, subscribe missing fields, and store the result.

    Without `retry_refused`, no fields are subscribed while only earlier refused ones are missing. A failed check
    returns `unknown` and stores nothing. Raises NotFound.
    """
    known = _row(account_id)
    try:
        found, lost = _checked(account_id, known, retry_refused=retry_refused)
    except (GraphAPIError, RetryLater) as failure:
        logger.warning("webhook subscription not checked", extra={"account": account_id, "reason": str(failure)})
        return Subscription(
            known.login, unknown=failure.sentence if isinstance(failure, GraphAPIError) else str(failure)
        )
    columns = {
        "subscription_checked_at": clock.now(),
        "missing_subscriptions": list(found.missing) or None,
        "refused_subscriptions": dict(found.refused) or None,
        "subscription_problem": found.problem,
    }
    with transaction.write() as tx:
        tx.execute(update(Account).where(Account.id == account_id).values(**columns))
        if MESSAGES in lost and known.subscription_checked_at:
            ended_at = clock.now() if found.delivers_messages else None
            gaps.record(tx, account_id, GapCause.SUBSCRIPTION, began_at=gaps.mark(tx, account_id), ended_at=ended_at)
        tx.mark_changed(account_id)
    if found.problem:
        reason = {"account": account_id, "reason": found.problem}
        logger.warning("webhook subscription refused by Meta", extra=reason)
    elif lost:
        level = logging.WARNING if known.subscription_checked_at else logging.INFO  # on a new account all are missing
        logger.log(level, "missing webhook fields subscribed", extra={"account": account_id, "fields": list(lost)})
    return found


def check_all(off: Collection[int] = ()) -> int:
    """Check the subscription of every connected account except `off`. Return how many checks succeeded."""
    checked = 0
    connected = select(Account.id).where(Account.state == AccountState.CONNECTED, Account.id.not_in(off))
    for account_id in db.session.scalars(connected).all():
        try:
            checked += check(account_id, retry_refused=False).unknown is None
        except NotFound:
            logger.info("account removed before its webhook subscription was checked", extra={"account": account_id})
    return checked


def _row(account_id: int) -> Any:
    columns = (Account.login, Account.subscription_checked_at, Account.refused_subscriptions)
    row = db.session.execute(select(*columns).where(Account.id == account_id)).first()
    if row is None:
        raise NotFound("account")
    return row


def _checked(account_id: int, known: Any, *, retry_refused: bool) -> tuple[Subscription, tuple[str, ...]]:
    """Return the subscription, and the fields that were missing and that this check tried to subscribe."""
    missing: tuple[str, ...] = ()
    try:
        missing = gateway.missing_subscriptions(account_id)
        refused_before = known.refused_subscriptions or {}
        if not retry_refused and missing and set(missing) <= refused_before.keys():
            refused = {each: refused_before[each] for each in missing}
            return Subscription(known.login, missing, refused, refused.get(MESSAGES)), ()
        if not missing:
            return Subscription(known.login), ()
        refusals = gateway.subscribe(account_id)
        refused = {each: _message(failure) for each, failure in refusals.items()}
        left = gateway.missing_subscriptions(account_id)
        if (
            left == gateway.WEBHOOKS[known.login]
        ):  # Meta lists no field at all: trust that it subscribed those it did not refuse
            left = tuple(refused)
        return Subscription(known.login, left, refused, refused.get(MESSAGES)), missing
    except GraphAPIError as failure:
        if failure.reason not in REFUSALS or failure.http_status is None:  # without a status, no request was sent
            raise
        return Subscription(known.login, missing, problem=_message(failure)), missing


def _message(failure: GraphAPIError) -> str:
    message = text.clean_message(logs.redact(_LISTS.sub("{…}", failure.message)))
    return text.shorten(message, MESSAGE_CHARACTERS) or f"{failure.sentence} ({failure.code})"
