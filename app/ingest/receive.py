"""The whole life of one delivery: is it ours, what does it tell, commit, and only then 200."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from app import clock, queue, settings
from app.db import transaction
from app.db.engine import is_sqlite
from app.db.transaction import Tx
from app.errors import Unavailable
from app.ingest import apply, dead_letters, refusals, together
from app.ingest.apply import Addressee, MisaddressedError, RepeatedError
from app.ingest.together import ONE_LINE, Line, Share
from app.instagram import signatures, webhook
from app.instagram.events import MessageSent, Passed, SelfTalk
from app.instagram.webhook import Item, UnreadableBodyError

logger = logging.getLogger(__name__)

_LAST = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Receipt:
    """The HTTP status for Meta: 200 everything is committed, 400 unreadable but kept, 401 not signed by Meta.

    415 means signed but compressed or otherwise encoded, and kept.
    """

    status: int
    stored: int = 0
    dead: int = 0


def is_subscription(mode: str, token: str) -> bool:
    """Return whether a handshake of Meta's carries our verify token."""
    return signatures.is_handshake(mode, token, verify_token=settings.current().meta_verify_token)


def delivery(body: bytes, signature: str | None, *, encoded: bool = False) -> Receipt:
    """Take one POST of Meta's: raw bytes, the X-Hub-Signature-256 header, and whether the bytes are `encoded`.

    Raises Unavailable when the database cannot take it; then Meta is to deliver again.
    """
    if not signatures.is_signed(body, signature, settings.current().signing_secrets):
        refusals.one_more()
        return Receipt(401)
    received_at = clock.now()
    if encoded:
        return _unreadable(body, 415, "the body has a content encoding, which Meta does not use", received_at)
    try:
        items = webhook.parse(body, received_at=received_at)
    except UnreadableBodyError as error:
        return _unreadable(body, 400, str(error), received_at)
    dead = land(items, received_at=received_at)
    return Receipt(200, stored=len(items) - dead, dead=dead)


def _unreadable(body: bytes, status: int, explanation: str, received_at: datetime) -> Receipt:
    with transaction.write() as tx:
        kept = dead_letters.keep_body(tx, body, explanation=explanation, at=received_at)
    return Receipt(status, dead=int(kept))


def land(items: Sequence[Item], *, received_at: datetime) -> int:
    """Apply items that were received at `received_at` (aware UTC) and have their people named; returns how many died.

    Raises Unavailable when the database cannot take them.
    """
    one_writer = is_sqlite()
    shares = [
        Share(chunk, received_at, ONE_LINE if one_writer else _lines(chunk))
        for chunk in _chunks(sorted(items, key=_order))
    ]
    for share in shares:
        together.land(share, _settle_shares, shared=one_writer)
    for account_id in sorted(set[int]().union(*(share.waiting for share in shares))):
        queue.enqueue_once(queue.RESOLVE, account_id)
    return sum(share.dead for share in shares)


def _settle_shares(shares: Sequence[Share]) -> None:
    try:
        _commit_repeated(shares)
    except Unavailable as error:
        _give_up(shares, error)
    except Exception:
        # Something in here breaks our code: once more each delivery alone, with a savepoint an item, so that its
        # neighbors are stored and it becomes a dead letter.
        logger.exception("deliveries are taken item by item")
        for share in shares:
            try:
                _commit([share], careful=True)
            except Exception as error:  # told to whoever waits for this share
                _give_up([share], error)


def _commit_repeated(shares: Sequence[Share]) -> None:
    # Each message can be stored by another process only once, so that this ends.
    while True:
        try:
            return _commit(shares, careful=False)
        except RepeatedError:
            continue


def _give_up(shares: Sequence[Share], error: Exception) -> None:
    for share in shares:
        share.error, share.settled = error, True


def _commit(shares: Sequence[Share], *, careful: bool) -> None:
    addressees: dict[str, Addressee | None] = {}
    for share in shares:
        share.dead, share.waiting = 0, set()
    with transaction.write() as tx:
        # In one order for all, so that two processes never wait for each other's rows in turn.
        for item, share in sorted(((item, each) for each in shares for item in each.items), key=_first):
            standing = None
            if item.ig_account_id is not None and item.ig_account_id not in addressees:
                addressees[item.ig_account_id], standing = _addressee(tx, item.ig_account_id, item)
            account = addressees.get(item.ig_account_id or "")
            if careful:
                _settle_apart(tx, item, account, share)
            else:
                _settle(tx, item, account, share, partial(apply.event, standing=standing))
        apply.heard(tx, filter(None, addressees.values()), at=max(share.received_at for share in shares))
    for share in shares:
        share.settled = True


def _addressee(tx: Tx, ig_account_id: str, item: Item) -> tuple[Addressee | None, Any]:
    if isinstance(item.event, MessageSent):
        return apply.first_message(tx, item.event)
    return apply.addressee(tx, ig_account_id), None


def _settle_apart(tx: Tx, item: Item, account: Addressee | None, share: Share) -> None:
    try:
        with tx.savepoint():
            _settle(tx, item, account, share, apply.event_apart)
    except transaction.DatabaseUnavailable:
        raise
    except Exception as error:
        logger.exception("an item could not be applied")
        _bury(tx, item, account, "fault", f"our code failed on it: {type(error).__name__}", share)


def _settle(tx: Tx, item: Item, account: Addressee | None, share: Share, apply_event: Callable[..., bool]) -> None:
    if item.event is None:
        _bury(tx, item, account, item.reason, item.explanation, share)
    elif account is None:
        _bury(tx, item, None, "unknown_account", "no connected account has this id", share)
    else:
        try:
            if apply_event(tx, account, item.event):
                share.waiting.add(account.id)
            if item.gaps and apply.is_stored(tx, account, item.event):
                dead_letters.keep_partly_understood(tx, item, account_id=account.id, at=share.received_at)
        except MisaddressedError as error:
            _bury(tx, item, account, "misaddressed", str(error), share)


def _bury(tx: Tx, item: Item, account: Addressee | None, reason: str, explanation: str, share: Share) -> None:
    account_id = account.id if account else None
    at = share.received_at
    share.dead += dead_letters.keep(tx, item, account_id=account_id, reason=reason, explanation=explanation, at=at)


def _first(pair: tuple[Item, Share]) -> tuple[str, int, str, datetime]:
    return _order(pair[0])


def _order(item: Item) -> tuple[str, int, str, datetime]:
    """Messages by conversation and time, then what changes messages, then the rest; equal ones stay as delivered."""
    event = item.event
    if isinstance(event, MessageSent):
        return (event.ig_account_id, 0, apply.likely_participant(event), event.sent_at)
    if event is None or isinstance(event, SelfTalk | Passed):
        return (item.ig_account_id or "", 2, "", _LAST)
    return (event.ig_account_id, 1, "", event.sent_at)


def _lines(items: Sequence[Item]) -> frozenset[Line]:
    """Where these items may have to wait on PostgreSQL, which has a writer for each conversation."""
    return frozenset(_order(item)[:3:2] for item in items)


def _chunks(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for begin in range(0, len(items), together.ITEMS):
        yield items[begin : begin + together.ITEMS]
