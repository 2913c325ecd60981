"""Does what is written to an account arrive: its subscription at Meta, and silence against its own rhythm."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from sqlalchemy import select, update

from app import clock
from app.accounts import listing
from app.accounts.listing import ListedAccount
from app.calls import gate
from app.db import transaction
from app.db.engine import db
from app.errors import Exhausted
from app.instagram.errors import CallFailed
from app.models.inbox import Account, AccountState, Message
from app.viewer import Viewer

logger = logging.getLogger(__name__)

RHYTHM = timedelta(days=14)
LEAST_MESSAGES = 20  # fewer tell no rhythm
MOST_MESSAGES = 5_000
SHORTEST_SILENCE = timedelta(hours=1)
PATIENCE = 2  # times the longest pause of the rhythm


@dataclass(frozen=True, slots=True)
class Health:
    """How an account is. `silent` says that nothing has come for far longer than is usual with it.

    `missing` are webhook fields that it was not subscribed to when Meta was last asked, at `checked_at`.
    """

    account: ListedAccount
    silent: bool
    missing: tuple[str, ...]
    checked_at: datetime | None

    @property
    def well(self) -> bool:
        """Whether nothing needs to be mended."""
        return self.account.state is AccountState.CONNECTED and not self.silent and not self.missing


def of_all(viewer: Viewer) -> list[Health]:
    """Return how the accounts are that the viewer may see; asks nobody but the database."""
    found = select(Account.id, Account.subscription_checked_at, Account.missing_subscriptions)
    known = {row.id: row for row in db.session.execute(found)}
    return [
        Health(
            account,
            silent=_silent(account),
            missing=tuple(known[account.id].missing_subscriptions or ()),
            checked_at=known[account.id].subscription_checked_at,
        )
        for account in listing.accounts(viewer)
    ]


def mend(account_id: int) -> None:
    """Ask Meta whether the account's webhooks are subscribed, subscribe what is missing, and note what was found."""
    try:
        missing = gate.missing_subscriptions(account_id, mend=True)
        if missing:
            logger.warning("webhooks were not subscribed", extra={"account": account_id, "fields": list(missing)})
            missing = gate.missing_subscriptions(account_id, mend=False)
    except (CallFailed, Exhausted) as failure:
        logger.warning("the subscription could not be checked", extra={"account": account_id, "reason": str(failure)})
        return
    with transaction.write() as tx:
        found = {"subscription_checked_at": clock.now(), "missing_subscriptions": list(missing) or None}
        tx.execute(update(Account).where(Account.id == account_id).values(**found))
        tx.touch(account_id)


def mend_all() -> None:
    """Check the subscription of every connected account."""
    for account_id in db.session.scalars(select(Account.id).where(Account.state == AccountState.CONNECTED)).all():
        mend(account_id)


def _silent(account: ListedAccount) -> bool:
    if account.last_webhook_at is None:
        return False
    since = clock.now() - RHYTHM
    recent = select(Message.sent_at).where(Message.account_id == account.id, Message.sent_at > since)
    moments = db.session.scalars(recent.order_by(Message.sent_at).limit(MOST_MESSAGES)).all()
    return clock.now() - account.last_webhook_at > _usual_silence(moments)


def _usual_silence(moments: Sequence[datetime]) -> timedelta:
    if len(moments) < LEAST_MESSAGES:
        return RHYTHM
    longest = max(after - before for before, after in pairwise(moments))
    return max(SHORTEST_SILENCE, PATIENCE * longest)
