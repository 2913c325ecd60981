"""Connecting accounts: whose token is it, keep it hidden, forget it again. The only writer of account rows but for
their state (calls/breaker) and the time of their last webhook (ingest/apply).
"""

import re
from collections.abc import Iterable

from sqlalchemy import delete, select, update

from app import audit, clock, queue, text
from app.accounts import health, listing
from app.accounts.listing import ListedAccount
from app.calls import gate
from app.db import transaction
from app.db.transaction import Tx
from app.db.types import Secret
from app.errors import Invalid, Unavailable
from app.instagram.answers import Me
from app.instagram.errors import CallFailed, Reason
from app.models.inbox import Account, AccountState, Login
from app.models.user import Action, ApiToken, User
from app.viewer import Role, Viewer

IG_ID = re.compile(r"[0-9]{1,32}", re.ASCII)
TOKEN = re.compile(r"[!-~]{1,2000}", re.ASCII)
_TOKENS_FAULT = (Reason.TOKEN, Reason.PERMISSION, Reason.REFUSED, Reason.FIELD, Reason.NOT_VISIBLE)


def add(
    viewer: Viewer,
    ig_account_id: str,
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
    """Connect an account, or give a connected one a new token; what is known of it already stays.

    `check` asks Meta whose token it is: raises Invalid when it is another account's or does not work, and Unavailable
    when Meta does not answer. `history` has its past conversations read. `own_ids` are further ids under which Meta
    names the account (instagram-platform.md 2).
    """
    viewer.require(Role.ADMIN)
    own = [number for number in (*own_ids, page_id) if number]
    _require_valid(ig_account_id, own, token, login)
    answer = _whose(ig_account_id, Login(login), token) if check else None
    own += [number for number in (answer.ig_app_scoped_id, answer.ig_page_id) if number] if answer else []
    known = {
        "username": text.clean_name(username) or (text.clean_name(answer.username) if answer else None),
        "ig_page_id": page_id or (answer.ig_page_id if answer else None),
        "ig_app_scoped_id": answer.ig_app_scoped_id if answer else None,
        "location_id": text.clean_name(location_id),
    }
    with transaction.write() as tx:
        account = _row(tx, ig_account_id)
        account.login, account.token = Login(login), Secret.hide(token)
        account.state, account.state_reason = AccountState.CONNECTED, None
        account.own_ids = sorted({*account.own_ids, *own} - {ig_account_id})
        for column, value in known.items():
            setattr(account, column, value or getattr(account, column))
        tx.session.flush()
        tx.touch(account.id)
        audit.note(tx, viewer, Action.ACCOUNT_CONNECTED, account_id=account.id)
        account_id = account.id
    if check:
        health.mend(account_id)  # a new token subscribes anew; failing is silent otherwise (instagram-platform.md 3)
    if check and history:
        queue.enqueue_once(queue.SYNC, account_id)
    return listing.by_ig_id(viewer, ig_account_id)


def check(viewer: Viewer, ig_account_id: str) -> str | None:
    """Ask Meta whether the account's token works; returns None when it does, else what is wrong. Raises NotFound."""
    viewer.require(Role.OPS)
    account = listing.by_ig_id(viewer, ig_account_id)
    try:
        gate.me(account.id)
    except CallFailed as failure:
        return failure.sentence
    return None


def remove(viewer: Viewer, ig_account_id: str) -> None:
    """Forget an account with everything that belongs to it: token, conversations, identities, runs. Raises NotFound."""
    viewer.require(Role.ADMIN)
    account = listing.by_ig_id(viewer, ig_account_id)
    with transaction.write() as tx:
        audit.note(tx, viewer, Action.ACCOUNT_REMOVED, account_id=account.id)
        tx.execute(delete(Account).where(Account.id == account.id))
        tx.touch(account.id)


def _require_valid(ig_account_id: str, own: Iterable[str], token: str, login: str) -> None:
    if not IG_ID.fullmatch(ig_account_id):
        raise Invalid({"ig_account_id": "The account id should be the digits of a professional account id."})
    if not all(IG_ID.fullmatch(number) for number in own):
        raise Invalid({"own_ids": "Every further id of the account should be digits."})
    if not TOKEN.fullmatch(token):
        raise Invalid({"token": "The token should be one word without spaces, read from standard input."})
    if login not in set(Login):
        raise Invalid({"login": "The login should be instagram or facebook."})


def _whose(ig_account_id: str, login: Login, token: str) -> Me:
    try:
        answer = gate.try_token(login, token)
    except CallFailed as failure:
        if failure.reason in _TOKENS_FAULT:
            raise Invalid({"token": f"{failure.sentence}."}) from failure
        raise Unavailable("Graph API") from failure
    if answer.ig_account_id != ig_account_id:
        sentence = f"The token belongs to account {answer.ig_account_id}, not to {ig_account_id}."
        raise Invalid({"token": sentence})
    return answer


def _row(tx: Tx, ig_account_id: str) -> Account:
    account = tx.session.scalars(select(Account).where(Account.ig_account_id == ig_account_id)).one_or_none()
    if account is None:
        account = Account(ig_account_id=ig_account_id, own_ids=[], connected_at=clock.now(), login=Login.INSTAGRAM)
        tx.session.add(account)
        tx.session.flush()
        _withdraw(tx, account.id)
    return account


def _withdraw(tx: Tx, account_id: int) -> None:
    # SQLite gives the id of a removed account again: whoever was limited to that one must not see this one.
    for holder in (User, ApiToken):
        limited = tx.execute(select(holder.id, holder.account_ids).where(holder.account_ids.is_not(None)))
        for row in limited.all():
            if account_id in row.account_ids:
                left = [each for each in row.account_ids if each != account_id]
                tx.execute(update(holder).where(holder.id == row.id).values(account_ids=left))
