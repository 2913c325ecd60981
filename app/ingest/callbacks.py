"""What Meta tells of an account's holder: access was withdrawn, or their data must be deleted."""

import logging
import secrets

from sqlalchemy import select, update

from app import audit, clock, settings
from app.db import transaction
from app.db.engine import db
from app.db.transaction import Tx
from app.db.types import digest
from app.errors import Forbidden, NotFound
from app.instagram import signatures
from app.models.inbox import Account, AccountState, Deletion
from app.models.run import ACTIVE, Run, RunState
from app.models.user import Action
from app.viewer import META

logger = logging.getLogger(__name__)

CODE_BYTES = 18  # 144 random bits (reliability.md S12)
WITHDRAWN = "Its holder withdrew our access; connect the account again"


def deauthorized(signed_request: str) -> None:
    """Stop working for the account whose holder withdrew our access: its token is destroyed, its jobs end.

    What still arrives goes on being stored. Raises Forbidden for a request that is not Meta's.
    """
    holder = _holder(signed_request)
    with transaction.write() as tx:
        for account_id in _accounts_of(tx, holder):
            _disconnect(tx, account_id, AccountState.RECONNECT)
            audit.note(tx, META, Action.ACCOUNT_WITHDRAWN, account_id=account_id)
            logger.warning("an account's holder withdrew our access", extra={"account": account_id})


def deletion_asked(signed_request: str) -> str:
    """Have the data of the holder's account deleted and return the code that tells how far that is.

    The same request again returns the same code. Raises Forbidden for a request that is not Meta's.
    """
    holder = _holder(signed_request)
    with transaction.write() as tx:
        known = tx.execute(select(Deletion.code).where(Deletion.digest == digest(signed_request))).scalar()
        if known is not None:
            return str(known)
        now, code = clock.now(), secrets.token_urlsafe(CODE_BYTES)
        account_ids = _accounts_of(tx, holder)
        for account_id in account_ids:
            _disconnect(tx, account_id, AccountState.DELETING)
            audit.note(tx, META, Action.ACCOUNT_DELETION_ASKED, account_id=account_id)
        asked = {"code": code, "digest": digest(signed_request), "asked_at": now}
        done = {"account_id": account_ids[0]} if account_ids else {"done_at": now}
        tx.execute(tx.insert(Deletion).values(**asked, **done))
    return code


def deletion(code: str) -> Deletion:
    """Return how far the deletion with this code is; raises NotFound."""
    found = db.session.get(Deletion, code)
    if found is None:
        raise NotFound("deletion request")
    return found


def _holder(signed_request: str) -> str:
    holder = signatures.holder_of(signed_request, settings.current().signing_secrets)
    if holder is None:
        logger.warning("a signed request was refused: it is not Meta's")
        raise Forbidden("This request is not signed by Meta.")
    return holder


def _accounts_of(tx: Tx, holder: str) -> list[int]:
    return list(tx.execute(select(Account.id).where(Account.ig_app_scoped_id == holder)).scalars())


def _disconnect(tx: Tx, account_id: int, state: AccountState) -> None:
    account = update(Account).where(Account.id == account_id)
    tx.execute(account.values(token=None, state=state, state_reason=WITHDRAWN))
    ended = {"state": RunState.CANCELED, "finished_at": clock.now(), "fence": Run.fence + 1, "lease_until": None}
    tx.execute(update(Run).where(Run.account_id == account_id, Run.state.in_(ACTIVE)).values(**ended))
    tx.touch(account_id)
