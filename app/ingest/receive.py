"""Receive one webhook delivery: verify the signature, parse, commit. Status 200 only after the commit."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import count

from app import clock, counters, queue, settings
from app.db import transaction
from app.db.engine import is_sqlite
from app.db.transaction import Tx
from app.errors import Unavailable
from app.ingest import dead_letters, event_handlers, group_commit
from app.ingest.event_handlers import DuplicateMessageError, MisaddressedError, RecipientAccount
from app.ingest.group_commit import SINGLE_WRITER, LockKey, PendingDelivery
from app.ingest.statements import MessageContext
from app.instagram import signatures, webhook
from app.instagram.events import (
    Event,
    IgnoredEvent,
    MessageAnnounced,
    MessageEdited,
    MessageSeen,
    MessageSent,
    MessageUnsent,
    ReactionChanged,
    SelfMessage,
)
from app.instagram.webhook import UnreadableBodyError, WebhookItem

logger = logging.getLogger(__name__)

REFUSALS_LOGGED_EVERY_SECONDS = 1.0

_END_OF_TIME = datetime.max.replace(tzinfo=UTC)
_KINDS: dict[type, str] = {
    MessageUnsent: "unsend",
    MessageEdited: "edit",
    MessageAnnounced: "announcement",
    ReactionChanged: "reaction",
    MessageSeen: "seen",
    SelfMessage: "self_message",
    IgnoredEvent: "ignored",
}
_refusal_numbers = count(1)
_refusal_logged_at = float("-inf")


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """The HTTP status for Meta, and how many items were stored or became dead letters.

    200: committed. 400: unreadable, kept. 401: no valid signature. 415: signed, with a content encoding, kept.
    """

    status: int
    stored: int = 0
    dead_letters: int = 0


def is_valid_handshake(mode: str, token: str) -> bool:
    """Return whether a subscription handshake carries the configured verify token."""
    return signatures.is_handshake(mode, token, verify_token=settings.current().meta_verify_token)


def receive_delivery(body: bytes, signature: str | None, *, encoded: bool = False) -> DeliveryResult:
    """Process one POST from Meta: `body` as received, the X-Hub-Signature-256 header, and whether it is `encoded`.

    Raises Unavailable if the database cannot store it; Meta then delivers it again.
    """
    if not signatures.is_signed(body, signature, settings.current().signing_secrets):
        count_refused()
        return DeliveryResult(401)
    received_at = clock.now()
    if encoded:
        return _unreadable(body, 415, "the body has a content encoding, which Meta does not use", received_at)
    try:
        items = webhook.parse(body, received_at=received_at)
    except UnreadableBodyError as error:
        return _unreadable(body, 400, str(error), received_at)
    unprocessed = store_items(items, received_at=received_at)
    for item in items:
        counters.EVENTS.add(_kind(item.event))
        if isinstance(item.event, MessageSent):
            counters.LAG_SECONDS.observe((received_at - item.event.sent_at).total_seconds())
    return DeliveryResult(200, stored=len(items) - unprocessed, dead_letters=unprocessed)


def _kind(event: Event | None) -> str:
    if event is None:
        return "not_understood"
    return str(event.kind) if isinstance(event, MessageSent) else _KINDS[type(event)]


def count_refused() -> int:
    """Count one delivery without a valid signature and return how many this process has refused.

    The log has the number, at most once a second. Neither database nor Redis is used, so that a flood costs little.
    """
    global _refusal_logged_at
    refused, now = next(_refusal_numbers), clock.monotonic()
    if now - _refusal_logged_at >= REFUSALS_LOGGED_EVERY_SECONDS:
        _refusal_logged_at = now
        logger.warning("webhook deliveries refused: signature missing or wrong", extra={"refused": refused})
    return refused


def _unreadable(body: bytes, status: int, explanation: str, received_at: datetime) -> DeliveryResult:
    with transaction.write() as tx:
        kept = dead_letters.keep_body(tx, body, explanation=explanation, at=received_at)
    return DeliveryResult(status, dead_letters=int(kept))


def store_items(items: Sequence[WebhookItem], *, received_at: datetime) -> int:
    """Apply items received at `received_at` (aware UTC) and queue lookups of their contacts.

    Returns the number of dead letters. Raises Unavailable if the database cannot store the items.
    """
    single_writer = is_sqlite()
    deliveries = [
        PendingDelivery(chunk, received_at, SINGLE_WRITER if single_writer else _lock_keys(chunk))
        for chunk in _chunks(sorted(items, key=_order))
    ]
    for delivery in deliveries:
        group_commit.commit_with_others(delivery, _store_together, shared=single_writer)
    for account_id in sorted(set[int]().union(*(delivery.to_look_up for delivery in deliveries))):
        queue.enqueue_once(queue.RESOLVE, account_id)
    return sum(delivery.dead_letters for delivery in deliveries)


def _store_together(deliveries: Sequence[PendingDelivery]) -> None:
    try:
        _commit_until_stored(deliveries)
    except Unavailable as error:
        _fail(deliveries, error)
    except Exception:
        # Retry each delivery alone, with a savepoint per item: only the item that fails becomes a dead letter.
        logger.exception("batch failed; retrying deliveries one item at a time")
        for delivery in deliveries:
            try:
                _commit([delivery], careful=True)
            except Exception as error:  # raised in the thread that waits for this delivery
                _fail([delivery], error)


def _commit_until_stored(deliveries: Sequence[PendingDelivery]) -> None:
    # Ends, because other processes can store each message only once.
    while True:
        try:
            return _commit(deliveries, careful=False)
        except DuplicateMessageError:
            continue


def _fail(deliveries: Sequence[PendingDelivery], error: Exception) -> None:
    for delivery in deliveries:
        delivery.error, delivery.done = error, True


def _commit(deliveries: Sequence[PendingDelivery], *, careful: bool) -> None:
    recipients: dict[str, RecipientAccount | None] = {}
    for delivery in deliveries:
        delivery.dead_letters, delivery.to_look_up = 0, set()
    with transaction.write() as tx:
        # All transactions lock rows in the same order, so that they cannot deadlock.
        for item, delivery in sorted(((item, each) for each in deliveries for item in each.items), key=_order_of_pair):
            context: MessageContext | None = None
            if item.ig_account_id is not None and item.ig_account_id not in recipients:
                recipients[item.ig_account_id], context = _find_recipient(tx, item.ig_account_id, item)
            account = recipients.get(item.ig_account_id or "")
            if careful:
                _store_in_savepoint(tx, item, account, delivery)
            else:
                _store(tx, item, account, delivery, partial(event_handlers.handle, context=context))
        event_handlers.record_webhook_time(
            tx, filter(None, recipients.values()), at=max(delivery.received_at for delivery in deliveries)
        )
    for delivery in deliveries:
        delivery.done = True


def _find_recipient(
    tx: Tx, ig_account_id: str, item: WebhookItem
) -> tuple[RecipientAccount | None, MessageContext | None]:
    if isinstance(item.event, MessageSent):
        return event_handlers.find_message_context(tx, item.event)
    return event_handlers.find_recipient(tx, ig_account_id), None


def _store_in_savepoint(tx: Tx, item: WebhookItem, account: RecipientAccount | None, delivery: PendingDelivery) -> None:
    try:
        with tx.savepoint():
            _store(tx, item, account, delivery, event_handlers.handle_in_savepoint)
    except transaction.DatabaseUnavailable:
        raise
    except Exception as error:
        logger.exception("webhook item not stored")
        _keep_as_dead_letter(
            tx, item, account, "fault", f"internal error: {type(error).__name__}; please report it", delivery
        )


def _store(
    tx: Tx,
    item: WebhookItem,
    account: RecipientAccount | None,
    delivery: PendingDelivery,
    apply_event: Callable[..., bool],
) -> None:
    if item.event is None:
        _keep_as_dead_letter(tx, item, account, item.reason, item.explanation, delivery)
    elif account is None:
        _keep_as_dead_letter(
            tx, item, None, "unknown_account", "no connected account has this ID; connect it, then replay", delivery
        )
    else:
        try:
            if apply_event(tx, account, item.event):
                delivery.to_look_up.add(account.id)
            if item.gaps and event_handlers.is_stored(tx, account, item.event):
                dead_letters.keep_partly_understood(tx, item, account_id=account.id, at=delivery.received_at)
        except MisaddressedError as error:
            _keep_as_dead_letter(tx, item, account, "misaddressed", str(error), delivery)


def _keep_as_dead_letter(
    tx: Tx,
    item: WebhookItem,
    account: RecipientAccount | None,
    reason: str,
    explanation: str,
    delivery: PendingDelivery,
) -> None:
    account_id = account.id if account else None
    at = delivery.received_at
    delivery.dead_letters += dead_letters.keep(
        tx, item, account_id=account_id, reason=reason, explanation=explanation, at=at
    )


def _order_of_pair(pair: tuple[WebhookItem, PendingDelivery]) -> tuple[str, int, str, datetime]:
    return _order(pair[0])


def _order(item: WebhookItem) -> tuple[str, int, str, datetime]:
    """Return a sort key: messages by conversation and time, then message updates, then the rest."""
    event = item.event
    if isinstance(event, MessageSent):
        return (event.ig_account_id, 0, event_handlers.likely_participant(event), event.sent_at)
    if event is None or isinstance(event, SelfMessage | IgnoredEvent):
        return (item.ig_account_id or "", 2, "", _END_OF_TIME)
    return (event.ig_account_id, 1, "", event.sent_at)


def _lock_keys(items: Sequence[WebhookItem]) -> frozenset[LockKey]:
    """Return the locks these items need on PostgreSQL, which has one writer per conversation."""
    return frozenset(_order(item)[:3:2] for item in items)


def _chunks(items: Sequence[WebhookItem]) -> Iterator[Sequence[WebhookItem]]:
    for begin in range(0, len(items), group_commit.MAX_ITEMS):
        yield items[begin : begin + group_commit.MAX_ITEMS]
