"""Connect, check and remove accounts.

The only writer of `accounts`, except for state (calls/circuit_breaker.py), token lifetime (tokens.py), subscription
(subscriptions.py), own IDs (owner.py), and the times of the last webhook and conversation sync (ingest/).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update

from app import audit, clock, queue, text
from app.accounts import listing, owner, subscriptions
from app.accounts.listing import ListedAccount
from app.accounts.subscriptions import Subscription
from app.calls import oauth_flow, refusals
from app.calls.oauth_flow import Authorization
from app.db import transaction
from app.db.transaction import Tx
from app.db.types import Secret
from app.errors import Conflict, Forbidden, Invalid, Unavailable
from app.identities import self_contacts
from app.instagram.credential import TOKEN
from app.instagram.errors import GraphAPIError, Reason
from app.instagram.responses import TokenOwner
from app.models.account import Account, AccountState, Login
from app.models.audit import Action
from app.models.user import ApiToken, User
from app.viewer import Role, Viewer

IG_ID = re.compile(r"[0-9]{1,32}", re.ASCII)
_CAUSED_BY_TOKEN = (
    *(Reason.TOKEN, Reason.PERMISSION, Reason.REFUSED, Reason.FIELD, Reason.NOT_VISIBLE),
    Reason.BAD_ANSWER,  # Meta did answer
)
OUTDATED = dict.fromkeys(
    (
        *("token_tried_at", "token_problem", "subscription_checked_at", "subscription_problem"),
        *("missing_subscriptions", "refused_subscriptions"),
    )
)  # results of checks with an earlier access token


@dataclass(frozen=True, slots=True)
class AccountCheck:
    """The result of a check: `problem` is why messages do not arrive, `warning` what else is missing."""

    problem: str | None = None
    warning: str | None = None

    def as_dict(self, ig_account_id: str) -> dict[str, Any]:
        """Return the result as API and command line show it."""
        found = {"works": self.problem is None, "problem": self.problem, "warning": self.warning}
        return {"accountId": ig_account_id} | found


def add(
    viewer: Viewer,
    ig_account_id: str | None,
    *,
    login: str,
    token: str,
    page_id: str | None = None,
    own_ids: Iterable[str] = (),
    username: str | None = None,
    location_id: str | None = None,
    check: bool = True,
    history: bool = True,
) -> ListedAccount:
    """Connect an account, or replace the access token of a connected one and keep its data; for admins.

    `check` asks Meta whose access token it is; `ig_account_id` may then be None. `history` enqueues a conversation
    sync. `own_ids` are further IDs that Meta uses for the account (docs/meta-platform.md#ids). Raises Invalid for a
    token that Meta rejects or that is for another account, Unavailable when Meta does not answer.
    """
    viewer.require(Role.ADMIN)
    own = [number for number in (*own_ids, page_id) if number]
    _require_valid(ig_account_id, own, token, login, check=check)
    found = _verified(ig_account_id, Login(login), token) if check else None
    me = found.me if found else None
    known = _owner_columns(me) | _given(username=text.clean_name(username), ig_page_id=page_id)
    known |= _given(location_id=text.clean_name(location_id))
    fresh = _fresh(found) if found else _token(token)
    named = ig_account_id or (me.ig_account_id if me else "")
    account_id = _store(viewer, named, Login(login), fresh, known, own)
    return _after_connecting(viewer, account_id, named, subscribe=check, history=check and history)


def connect_authorized(viewer: Viewer, login: Login, found: Authorization) -> ListedAccount:
    """Connect an account that its owner authorized at Meta, or replace its access token; for admins."""
    viewer.require(Role.ADMIN)
    account_id = _store(viewer, found.me.ig_account_id, login, _fresh(found), _owner_columns(found.me), ())
    return _after_connecting(viewer, account_id, found.me.ig_account_id, subscribe=True, history=True)


def check(viewer: Viewer, ig_account_id: str) -> AccountCheck:
    """Check an account's access token and webhook subscription at Meta, and subscribe missing fields; for ops.

    Raises NotFound.
    """
    viewer.require(Role.OPS)
    account = listing.by_ig_id(viewer, ig_account_id)
    try:
        owner.verify_owner(account.id)
    except GraphAPIError as failure:
        return AccountCheck(f"{failure.sentence}.")
    return _check_result(subscriptions.check(account.id))


def subscription_of(account: ListedAccount) -> AccountCheck:
    """Return the check result of an account that was just connected. Makes no API call."""
    if account.subscription_checked_at is None:
        return AccountCheck(
            None, "Webhooks are not checked yet: choose Check connection, or run `nametag account check`."
        )
    return _check_result(subscriptions.stored_subscription(account))


def _check_result(found: Subscription) -> AccountCheck:
    if found.unknown:
        return AccountCheck(
            f"Can't check the webhook subscription: {found.unknown}. Check the account again in a minute."
        )
    remedy = found.remedy if found.problem else "Check the webhook fields of the app in Meta's App Dashboard."
    problem = f"{found.error}. {remedy}" if found.error else None
    return AccountCheck(problem, f"{found.warning}." if found.warning else None)


def remove(viewer: Viewer, ig_account_id: str) -> None:
    """Remove an account, for admins: it is hidden and its access token deleted now, its data soon, in chunks.

    Raises NotFound.
    """
    viewer.require(Role.ADMIN)
    account = listing.by_ig_id(viewer, ig_account_id)
    with transaction.write() as tx:
        audit.note(tx, viewer, Action.ACCOUNT_REMOVED, account_id=account.id)
        gone = {"state": AccountState.DELETING, "token": None, "location_id": None}
        tx.execute(update(Account).where(Account.id == account.id).values(**gone))
        tx.mark_changed(account.id)


def describe_failure(failure: GraphAPIError) -> str:
    """Return the text for an admin whose access token or authorization Meta rejected.

    Raises Unavailable when the failure is Meta's or the network's.
    """
    if failure.reason not in _CAUSED_BY_TOKEN:
        raise Unavailable("Graph API") from failure
    return f"{failure.sentence}."


def _require_valid(ig_account_id: str | None, own: Iterable[str], token: str, login: str, *, check: bool) -> None:
    wrong = {}
    if not check and ig_account_id is None:
        wrong["ig_account_id"] = "Enter the professional account ID when the access token is not checked at Meta."
    if ig_account_id is not None and not IG_ID.fullmatch(ig_account_id):
        wrong["ig_account_id"] = "The professional account ID must be digits only, for example 17841400000000101."
    if not all(IG_ID.fullmatch(number) for number in own):
        wrong["own_ids"] = "Other account IDs must be digits."
    if not TOKEN.fullmatch(token):
        wrong["token"] = "The access token can't contain spaces. Check that you copied all of it."  # noqa: S105
    if login not in set(Login):
        wrong["login"] = "The login must be instagram, facebook or unified."
    if wrong:
        raise Invalid(wrong)


def _verified(ig_account_id: str | None, login: Login, token: str) -> Authorization:
    try:
        found = oauth_flow.accounts_of_token(login, token, ig_account_id=ig_account_id)
    except GraphAPIError as failure:
        raise Invalid({"token": describe_failure(failure)}) from failure
    wanted = [each for each in found if ig_account_id in (None, each.me.ig_account_id)]
    names = ", ".join(each.me.ig_account_id for each in found)
    if not wanted:
        raise Invalid({"token": f"This access token is for account {names}, not for {ig_account_id}."})
    if len(wanted) > 1:
        several = f"This access token is for {len(wanted)} accounts: {names}. Enter the professional account ID of one."
        raise Invalid({"ig_account_id": several})
    return wanted[0]


def _fresh(found: Authorization) -> dict[str, Any]:
    granted = None if found.token.permissions is None else list(found.token.permissions)
    return _token(found.token.value) | {"token_expires_at": found.token.expires_at, "permissions": granted}


def _token(value: str) -> dict[str, Any]:
    return {"token": Secret.hide(value), "token_expires_at": None, "permissions": None}


def _owner_columns(me: TokenOwner | None) -> dict[str, Any]:
    if me is None:
        return {}
    ids = {"ig_page_id": me.ig_page_id, "ig_app_scoped_id": me.ig_app_scoped_id, "owner_id": me.owner_id}
    return _given(username=text.clean_name(me.username), **ids)


def _given(**columns: str | None) -> dict[str, Any]:
    return {column: value for column, value in columns.items() if value}


def _store(
    viewer: Viewer,
    ig_account_id: str,
    login: Login,
    fresh: dict[str, Any],
    known: dict[str, Any],
    own: Iterable[str],
) -> int:
    with transaction.write() as tx:
        account = _row(tx, viewer, ig_account_id, login)
        named = {*account.own_ids, *own, known.get("ig_app_scoped_id"), known.get("ig_page_id")}
        account.own_ids = sorted(number for number in named - {ig_account_id} if number)
        connected = {"login": login, "state": AccountState.CONNECTED, "state_reason": None, "token_at": clock.now()}
        for column, value in (known | fresh | connected | OUTDATED).items():
            setattr(account, column, value)
        tx.session.flush()
        self_contacts.delete_self_contacts(tx, account.id, account.own_ids)
        refusals.retry_now(tx, account.id)
        audit.note(tx, viewer, Action.ACCOUNT_CONNECTED, account_id=account.id)
        tx.mark_changed(account.id)
        return account.id


def _row(tx: Tx, viewer: Viewer, ig_account_id: str, login: Login) -> Account:
    account = tx.session.scalars(select(Account).where(Account.ig_account_id == ig_account_id)).one_or_none()
    if not viewer.sees(account.id if account else None):
        raise Forbidden("You can only connect accounts you have access to. Ask an admin with access to all accounts.")
    if account is None:
        account = Account(ig_account_id=ig_account_id, own_ids=[], connected_at=clock.now(), login=login)
        tx.session.add(account)
        tx.session.flush()
        _withdraw_access(tx, account.id)
    elif account.state is AccountState.DELETING:
        raise Conflict("This account is still being deleted. Try again in a few minutes.")
    return account


def _withdraw_access(tx: Tx, account_id: int) -> None:
    # SQLite reuses the ID of a removed account: users with access to that one must not see this one.
    for holder in (User, ApiToken):
        limited = tx.execute(select(holder.id, holder.account_ids).where(holder.account_ids.is_not(None)))
        for row in limited.all():
            if account_id in row.account_ids:
                left = [each for each in row.account_ids if each != account_id]
                tx.execute(update(holder).where(holder.id == row.id).values(account_ids=left))


def _after_connecting(
    viewer: Viewer, account_id: int, ig_account_id: str, *, subscribe: bool, history: bool
) -> ListedAccount:
    if subscribe:
        subscriptions.check(
            account_id
        )  # a new access token needs a new subscription; without one, Meta silently delivers nothing
    if history:
        queue.enqueue_once(queue.SYNC, account_id)
    return listing.by_ig_id(viewer, ig_account_id)
