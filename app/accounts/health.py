"""Does what is written to an account arrive: its subscription at Meta, and silence against its own rhythm."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from sqlalchemy import ColumnElement, and_, or_, select, update

from app import clock, settings
from app.accounts import listing, owner, tokens
from app.accounts.listing import ListedAccount
from app.accounts.tokens import Life
from app.calls import consent, gate
from app.db import transaction
from app.db.engine import db
from app.errors import Exhausted
from app.instagram.errors import CallFailed
from app.models.inbox import Account, AccountState, Login, Message
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

    `missing` are webhook fields that it was not subscribed to when Meta was last asked, at `checked_at`; `permissions`
    are those of the `needed` ones that its owner gave, None where nobody has said.
    """

    account: ListedAccount
    silent: bool
    missing: tuple[str, ...]
    checked_at: datetime | None
    token: Life
    permissions: tuple[str, ...] | None
    needed: tuple[str, ...]

    @property
    def refused(self) -> tuple[str, ...]:
        """The permissions that the owner is known not to have given."""
        return () if self.permissions is None else tuple(each for each in self.needed if each not in self.permissions)

    @property
    def well(self) -> bool:
        """Whether nothing needs to be mended."""
        return self.token.well and not (self.silent or self.missing or self.refused)


def of_all(viewer: Viewer) -> list[Health]:
    """Return how the accounts are that the viewer may see; asks nobody but the database."""
    columns = (Account.id, Account.subscription_checked_at, Account.missing_subscriptions, Account.permissions)
    found = select(*columns, *tokens.COLUMNS)
    known = {row.id: row for row in db.session.execute(found)}
    return [
        Health(
            account,
            silent=_silent(account),
            missing=tuple(known[account.id].missing_subscriptions or ()),
            checked_at=known[account.id].subscription_checked_at,
            token=tokens.life(known[account.id]),
            permissions=_given(known[account.id].permissions),
            needed=consent.PERMISSIONS[account.login],
        )
        for account in listing.accounts(viewer)
    ]


def mend(account_id: int) -> tuple[str, ...]:
    """Ask Meta whether the account's webhooks are subscribed, subscribe what is missing, and note what was found.

    Returns what is missing all the same; nothing, when that could not be found out.
    """
    try:
        missing = lost = gate.missing_subscriptions(account_id, mend=True)
        if lost:
            missing = gate.missing_subscriptions(account_id, mend=False)
    except (CallFailed, Exhausted) as failure:
        logger.warning("the subscription could not be checked", extra={"account": account_id, "reason": str(failure)})
        return ()
    with transaction.write() as tx:
        known = tx.execute(select(Account.subscription_checked_at).where(Account.id == account_id)).scalar()
        found = {"subscription_checked_at": clock.now(), "missing_subscriptions": list(missing) or None}
        tx.execute(update(Account).where(Account.id == account_id).values(**found))
        tx.touch(account_id)
    if lost:
        level = logging.WARNING if known else logging.INFO  # nobody expects a new account to be subscribed
        logger.log(level, "webhooks were not subscribed", extra={"account": account_id, "fields": list(lost)})
    return missing


def mend_all() -> None:
    """Check the subscription of every connected account."""
    for account_id in db.session.scalars(select(Account.id).where(Account.state == AccountState.CONNECTED)).all():
        mend(account_id)


def prove_all() -> None:
    """Ask Meta about accounts whose token it refused, and about those whose owner's ID is not known yet.

    A token that works again reconnects the account. The ID is what Meta names in an owner's requests.
    """
    refused = Account.state == AccountState.RECONNECT
    connected = Account.state == AccountState.CONNECTED
    asked = select(Account.id).where(Account.token.is_not(None), or_(refused, and_(connected, _owner_is_unknown())))
    for account_id in db.session.scalars(asked.order_by(Account.id)).all():
        try:
            owner.prove(account_id)
        except CallFailed as failure:
            logger.info("an account could not be checked", extra={"account": account_id, "reason": str(failure)})


def _owner_is_unknown() -> ColumnElement[bool]:
    of_instagram = and_(Account.login == Login.INSTAGRAM, Account.ig_app_scoped_id.is_(None))
    if not settings.current().meta_app_id:  # then Meta cannot be asked who authorized the token of a Page
        return of_instagram
    return or_(of_instagram, and_(Account.login == Login.FACEBOOK, Account.owner_id.is_(None)))


def _given(permissions: list[str] | None) -> tuple[str, ...] | None:
    return None if permissions is None else tuple(permissions)


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
