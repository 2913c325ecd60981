"""The whole life of one delivery: is it ours, what does it tell, commit, and only then 200."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from app import clock, queue, settings
from app.db import transaction
from app.db.transaction import Tx
from app.errors import Unavailable
from app.ingest import apply, dead_letters
from app.ingest.apply import Addressee, MisaddressedError
from app.instagram import signatures, webhook
from app.instagram.webhook import Item, UnreadableBodyError

logger = logging.getLogger(__name__)

CHUNK = 200  # items a transaction, so that other writers get their turn between (reliability.md 3.2)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What Meta may be told: 200 everything is committed, 400 unreadable but kept, 401 not signed by Meta."""

    status: int
    stored: int = 0
    dead: int = 0


def is_subscription(mode: str, token: str) -> bool:
    """Return whether a handshake of Meta's carries our verify token."""
    return signatures.is_handshake(mode, token, verify_token=settings.current().meta_verify_token)


def delivery(body: bytes, signature: str | None) -> Receipt:
    """Take one POST of Meta's: raw bytes and the X-Hub-Signature-256 header.

    Raises Unavailable when the database cannot take it; then Meta is to deliver again.
    """
    if not signatures.is_signed(body, signature, settings.current().meta_app_secrets):
        logger.warning("a delivery was refused: its signature is missing or wrong")
        return Receipt(401)
    received_at = clock.now()
    try:
        items = webhook.parse(body, received_at=received_at)
    except UnreadableBodyError as error:
        with transaction.write() as tx:
            dead_letters.keep_body(tx, body, explanation=str(error), at=received_at)
        return Receipt(400, dead=1)
    dead = land(items, received_at=received_at)
    return Receipt(200, stored=len(items) - dead, dead=dead)


def land(items: Sequence[Item], *, received_at: datetime) -> int:
    """Apply items that were received at `received_at` (aware UTC) and have their people named; returns how many died.

    Raises Unavailable when the database cannot take them.
    """
    dead, waiting = 0, set[int]()
    for chunk in _chunks(sorted(items, key=_order)):
        landed = _land(chunk, received_at)
        dead += landed.dead
        waiting |= landed.waiting
    for account_id in sorted(waiting):
        queue.enqueue_once(queue.RESOLVE, account_id)
    return dead


@dataclass(slots=True)
class _Landed:
    dead: int
    waiting: set[int]


def _land(chunk: Sequence[Item], received_at: datetime) -> _Landed:
    try:
        return _commit(chunk, received_at, careful=False)
    except Unavailable:
        raise
    except Exception:
        # Something in here breaks our code, or lost a race: once more with a savepoint an item, so that its
        # neighbours land and it becomes a dead letter (reliability.md F36).
        logger.exception("a delivery is taken item by item")
        return _commit(chunk, received_at, careful=True)


def _commit(chunk: Sequence[Item], received_at: datetime, *, careful: bool) -> _Landed:
    landed = _Landed(dead=0, waiting=set())
    addressees: dict[str, Addressee | None] = {}
    with transaction.write() as tx:
        for item in chunk:
            if item.ig_account_id is not None and item.ig_account_id not in addressees:
                addressees[item.ig_account_id] = apply.addressee(tx, item.ig_account_id)
            account = addressees.get(item.ig_account_id or "")
            if careful:
                _settle_apart(tx, item, account, received_at, landed)
            else:
                _settle(tx, item, account, received_at, landed)
        apply.heard(tx, filter(None, addressees.values()), at=received_at)
    return landed


def _settle_apart(tx: Tx, item: Item, account: Addressee | None, received_at: datetime, landed: _Landed) -> None:
    try:
        with tx.savepoint():
            _settle(tx, item, account, received_at, landed)
    except transaction.DatabaseAway:
        raise
    except Exception as error:
        logger.exception("an item could not be applied")
        _bury(tx, item, account, "fault", f"our code failed on it: {type(error).__name__}", received_at, landed)


def _settle(tx: Tx, item: Item, account: Addressee | None, received_at: datetime, landed: _Landed) -> None:
    if item.event is None:
        _bury(tx, item, account, item.reason, item.explanation, received_at, landed)
    elif account is None:
        _bury(tx, item, None, "unknown_account", "no connected account has this id", received_at, landed)
    else:
        try:
            if apply.event(tx, account, item.event):
                landed.waiting.add(account.id)
        except MisaddressedError as error:
            _bury(tx, item, account, "misaddressed", str(error), received_at, landed)


def _bury(
    tx: Tx, item: Item, account: Addressee | None, reason: str, explanation: str, at: datetime, landed: _Landed
) -> None:
    account_id = account.id if account else None
    dead_letters.keep(tx, item, account_id=account_id, reason=reason, explanation=explanation, at=at)
    landed.dead += 1


def _order(item: Item) -> tuple[str, datetime, str]:
    if item.event is None:
        return (item.ig_account_id or "", datetime.max.replace(tzinfo=UTC), "")
    return (item.event.ig_account_id, item.event.sent_at, item.event.mid)


def _chunks(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for begin in range(0, len(items), CHUNK):
        yield items[begin : begin + CHUNK]
