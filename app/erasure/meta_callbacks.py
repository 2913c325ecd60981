"""Meta's deauthorize and data deletion callbacks: signed requests on behalf of account owners.

The format of a signed request is in docs/meta-platform.md.
"""

import logging
import secrets

from sqlalchemy import select

from app import clock, settings
from app.db import transaction
from app.db.engine import db
from app.db.transaction import Tx
from app.db.types import digest
from app.erasure import owner_requests
from app.errors import Forbidden, NotFound
from app.instagram import signatures
from app.models.erasure import Outcome, OwnerRequest, RequestKind
from app.viewer import META

logger = logging.getLogger(__name__)

CODE_BYTES = 18  # 144 random bits: the status page needs no sign-in, so its code must not be guessable


def deauthorize(signed_request: str) -> bool:
    """Disconnect the accounts of the owner who removed the app's access. Returns whether any was disconnected.

    Deletes their access tokens and cancels their jobs; deliveries are still stored. A request that matches no account
    stays open. The same request again changes nothing: the owner may have authorized the app again since. Raises
    Forbidden for a request that Meta did not sign.
    """
    user_id = _verify(signed_request)
    with transaction.write() as tx:
        account_ids = [each.id for each in owner_requests.matching_accounts(tx, user_id)]
        found = {"done_at": clock.now(), "outcome": Outcome.DONE} if account_ids else {"user_id": user_id}
        request_digest = digest(f"deauthorization {signed_request}")
        _, is_new = _store(tx, request_digest, kind=RequestKind.DEAUTHORIZATION, **found)
        if is_new:
            owner_requests.carry_out(tx, META, RequestKind.DEAUTHORIZATION, account_ids)
    return is_new and bool(account_ids)


def request_deletion(signed_request: str) -> str:
    """Start to delete the accounts of the owner who requests it. Returns the code of the public status page.

    The same request returns the same code, also when both arrive at the same time. A request that matches no account
    stays open. Raises Forbidden for a request that Meta did not sign.
    """
    user_id = _verify(signed_request)
    with transaction.write() as tx:
        account_ids = [each.id for each in owner_requests.matching_accounts(tx, user_id)]
        found = {"account_id": account_ids[0]} if account_ids else {"user_id": user_id}
        code, is_new = _store(tx, digest(signed_request), kind=RequestKind.DELETION, **found)
        if is_new:
            owner_requests.carry_out(tx, META, RequestKind.DELETION, account_ids)
    return code


def get_deletion(code: str) -> OwnerRequest:
    """Return the deletion request with this code. Raises NotFound."""
    found = db.session.get(OwnerRequest, code)
    if found is None or found.kind is RequestKind.DEAUTHORIZATION:
        raise NotFound("deletion request")
    return found


def _store(tx: Tx, request_digest: bytes, **columns: object) -> tuple[str, bool]:
    """Store a request unless it is stored already. Returns its code, and whether it is new."""
    code = secrets.token_urlsafe(CODE_BYTES)
    row = tx.insert(OwnerRequest).values(code=code, digest=request_digest, requested_at=clock.now(), **columns)
    if tx.execute(row.on_conflict_do_nothing(index_elements=["digest"]).returning(OwnerRequest.code)).scalar():
        if "user_id" in columns:
            logger.warning("account owner's request matches no account", extra={"kind": columns["kind"]})
        return code, True
    return str(tx.execute(select(OwnerRequest.code).where(OwnerRequest.digest == request_digest)).scalar_one()), False


def _verify(signed_request: str) -> str:
    """Return the app-scoped ID of the account owner in a request that Meta signed."""
    user_id = signatures.user_of_signed_request(signed_request, settings.current().signing_secrets)
    if user_id is None:
        logger.warning("signed request refused: not signed by Meta")
        raise Forbidden("This request is not signed by Meta.")
    return user_id
