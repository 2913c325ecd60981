"""Requests of account owners, passed on by Meta: carry them out, or keep those that match no account open.

An open request is carried out when its ID becomes known, or when an admin assigns or closes it.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select, update

from app import audit, clock
from app.db import transaction
from app.db.engine import db
from app.db.transaction import Tx
from app.errors import Conflict, NotFound
from app.models.account import ALL_IDS, Account, AccountState, all_ids
from app.models.audit import Action
from app.models.erasure import Outcome, OwnerRequest, RequestKind
from app.models.run import ACTIVE, Run, RunState
from app.viewer import META, Role, Viewer

logger = logging.getLogger(__name__)

WITHDRAWN = "The account owner removed Nametag’s access in Instagram. Reconnect the account"
_ACTIONS = {
    RequestKind.DELETION: Action.ACCOUNT_DELETION_ASKED,
    RequestKind.DEAUTHORIZATION: Action.ACCOUNT_WITHDRAWN,
}
_OPEN: tuple[ColumnElement[bool], ...] = (OwnerRequest.done_at.is_(None), OwnerRequest.account_id.is_(None))


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """A request that matches no account; `user_id` is the app-scoped ID that Meta sent, `requested_at` is aware UTC."""

    code: str
    kind: RequestKind
    user_id: str | None
    requested_at: datetime


def matching_accounts(tx: Tx, user_id: str) -> list[Any]:
    """Return the accounts (id, connected_at, token_at) with this ID, or whose owner has it."""
    columns = (Account.id, Account.connected_at, Account.token_at, Account.owner_id, *ALL_IDS)
    accounts = tx.execute(select(*columns).order_by(Account.id)).all()
    return [each for each in accounts if user_id in (each.owner_id, *all_ids(each))]


def carry_out(tx: Tx, viewer: Viewer, kind: RequestKind, account_ids: Iterable[int]) -> None:
    """Delete the access tokens of the accounts, cancel their jobs and, for a deletion request, start to delete them."""
    deletes = kind is RequestKind.DELETION
    state = AccountState.DELETING if deletes else AccountState.RECONNECT
    for account_id in account_ids:
        # Nothing else that its owner requests stops a deletion.
        account = update(Account).where(Account.id == account_id, Account.state != AccountState.DELETING)
        tx.execute(account.values(token=None, state=state, state_reason=WITHDRAWN))
        ended = {"state": RunState.CANCELED, "finished_at": clock.now(), "fence": Run.fence + 1, "lease_until": None}
        tx.execute(update(Run).where(Run.account_id == account_id, Run.state.in_(ACTIVE)).values(**ended))
        tx.mark_changed(account_id)
        audit.note(tx, viewer, _ACTIONS[kind], account_id=account_id)
        logger.warning("account owner's request carried out", extra={"account": account_id, "kind": kind})


def open_requests(viewer: Viewer) -> list[OpenRequest]:
    """Return the open requests, oldest first. They belong to no account, so only admins of all accounts see them."""
    if not _is_admin_of_all(viewer):
        return []
    found = select(OwnerRequest.code, OwnerRequest.kind, OwnerRequest.user_id, OwnerRequest.requested_at).where(*_OPEN)
    return [
        OpenRequest(*row) for row in db.session.execute(found.order_by(OwnerRequest.requested_at, OwnerRequest.code))
    ]


def count_open(viewer: Viewer) -> int:
    """Return the number of open requests that the viewer may see."""
    if not _is_admin_of_all(viewer):
        return 0
    return db.session.execute(select(func.count()).select_from(OwnerRequest).where(*_OPEN)).scalar_one()


def assign(viewer: Viewer, code: str, ig_account_id: str) -> None:
    """Carry an open request out on an account. Raises NotFound, and Conflict for a kind that a newer release stored."""
    viewer.require(Role.ADMIN)
    with transaction.write() as tx:
        request = _open(tx, viewer, code)
        if request.kind not in _ACTIONS:
            raise Conflict("A newer version of Nametag received this request. Update Nametag to carry it out.")
        account_id = tx.execute(select(Account.id).where(Account.ig_account_id == ig_account_id)).scalar()
        if account_id is None:
            raise NotFound("account")
        audit.note(tx, viewer, Action.OWNER_REQUEST_ASSIGNED, f"request {code}", account_id=account_id)
        _complete(tx, viewer, request, [account_id])


def close(viewer: Viewer, code: str) -> None:
    """Close an open request: nothing is stored for this owner. Raises NotFound."""
    viewer.require(Role.ADMIN)
    with transaction.write() as tx:
        _open(tx, viewer, code)
        audit.note(tx, viewer, Action.OWNER_REQUEST_CLOSED, f"request {code}")
        tx.execute(_row(code).values(done_at=clock.now(), outcome=Outcome.NOTHING_FOUND, user_id=None))


def carry_out_matched() -> None:
    """Carry out the open requests whose owner's ID is known by now, on accounts that were connected before them.

    An access token that is newer than a deauthorization was authorized after it, and is kept.
    """
    if not db.session.scalars(
        select(OwnerRequest.code).where(*_OPEN, OwnerRequest.user_id.is_not(None)).limit(1)
    ).first():
        return
    with transaction.write() as tx:
        known = (*_OPEN, OwnerRequest.user_id.is_not(None), OwnerRequest.kind.in_(tuple(_ACTIONS)))
        for request in tx.execute(select(OwnerRequest).where(*known)).all():
            older = [
                each for each in matching_accounts(tx, request.user_id) if each.connected_at <= request.requested_at
            ]
            if request.kind is RequestKind.DEAUTHORIZATION:
                affected = [each for each in older if (each.token_at or each.connected_at) <= request.requested_at]
            else:
                affected = older
            if older:
                _complete(tx, META, request, [each.id for each in affected])


def _complete(tx: Tx, viewer: Viewer, request: Any, account_ids: list[int]) -> None:
    carry_out(tx, viewer, request.kind, account_ids)
    if request.kind is RequestKind.DELETION:
        tx.execute(_row(request.code).values(account_id=account_ids[0], user_id=None))
    else:
        tx.execute(_row(request.code).values(done_at=clock.now(), outcome=Outcome.DONE, user_id=None))


def _open(tx: Tx, viewer: Viewer, code: str) -> Any:
    found = tx.execute(select(OwnerRequest).where(OwnerRequest.code == code, *_OPEN).with_for_update()).first()
    if found is None or not _is_admin_of_all(viewer):
        raise NotFound("request of an account owner")
    return found


def _row(code: str) -> Any:
    return update(OwnerRequest).where(OwnerRequest.code == code)


def _is_admin_of_all(viewer: Viewer) -> bool:
    return viewer.may(Role.ADMIN) and viewer.sees_all
