"""What Meta passes on from account owners: access was withdrawn, or their data must be deleted."""

import logging
import secrets

from sqlalchemy import select

from app import clock, settings
from app.db import transaction
from app.db.engine import db
from app.db.transaction import Tx
from app.db.types import digest
from app.errors import Forbidden, NotFound
from app.ingest import owner_requests
from app.instagram import signatures
from app.models.inbox import Deletion, RequestKind
from app.viewer import META

logger = logging.getLogger(__name__)

CODE_BYTES = 18  # 144 random bits (reliability.md S12)


def deauthorized(signed_request: str) -> bool:
    """Disconnect the accounts whose owner withdrew the app's access; returns whether there were any.

    Their tokens are destroyed and their jobs end; what still arrives is stored. A request that matches no account
    stays open. Raises Forbidden for a request that is not Meta's.
    """
    user_id = _holder(signed_request)
    with transaction.write() as tx:
        account_ids = [each.id for each in owner_requests.matching(tx, user_id)]
        owner_requests.execute(tx, META, RequestKind.DEAUTHORIZATION, account_ids)
        if not account_ids:
            request = {"kind": RequestKind.DEAUTHORIZATION, "user_id": user_id}
            _keep(tx, digest(f"deauthorization {signed_request}"), **request)
    return bool(account_ids)


def deletion_asked(signed_request: str) -> str:
    """Begin to delete the accounts of the owner who requests it, and return the code of the public status page.

    The same request again returns the same code, also at the same moment. A request that matches no account stays
    open. Raises Forbidden for a request that is not Meta's.
    """
    user_id = _holder(signed_request)
    with transaction.write() as tx:
        account_ids = [each.id for each in owner_requests.matching(tx, user_id)]
        found = {"account_id": account_ids[0]} if account_ids else {"user_id": user_id}
        code, is_new = _keep(tx, digest(signed_request), kind=RequestKind.DELETION, **found)
        if is_new:
            owner_requests.execute(tx, META, RequestKind.DELETION, account_ids)
    return code


def deletion(code: str) -> Deletion:
    """Return the deletion request with this code; raises NotFound."""
    found = db.session.get(Deletion, code)
    if found is None or found.kind is RequestKind.DEAUTHORIZATION:
        raise NotFound("deletion request")
    return found


def _keep(tx: Tx, request_digest: bytes, **columns: object) -> tuple[str, bool]:
    """Store a request unless it is there already; returns its code, and whether it is new."""
    code = secrets.token_urlsafe(CODE_BYTES)
    row = tx.insert(Deletion).values(code=code, digest=request_digest, asked_at=clock.now(), **columns)
    if tx.execute(row.on_conflict_do_nothing(index_elements=["digest"]).returning(Deletion.code)).scalar():
        if "account_id" not in columns:
            logger.warning("request of an account owner matches no account", extra={"kind": columns["kind"]})
        return code, True
    return str(tx.execute(select(Deletion.code).where(Deletion.digest == request_digest)).scalar_one()), False


def _holder(signed_request: str) -> str:
    holder = signatures.user_of_signed_request(signed_request, settings.current().signing_secrets)
    if holder is None:
        logger.warning("a signed request was refused: it is not Meta's")
        raise Forbidden("This request is not signed by Meta.")
    return holder
