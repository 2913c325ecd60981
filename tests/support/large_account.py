"""Rows of every table that grows while an account is used, for tests that pages do not become slower."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert

from app import clock, search_words
from app.db import transaction
from app.db.engine import Model
from app.db.types import digest
from app.models.account import Account
from app.models.alert import Alert, AlertDelivery, AlertEvent, AlertKind, AlertReceiver, DeliveryState, ReceiverKind
from app.models.audit import Action, AuditEntry
from app.models.call import ApiCall, Purpose
from app.models.conversation import Conversation, Message, UnreadByUser
from app.models.erasure import OwnerRequest
from app.models.gap import Gap, GapCause, GapState
from app.models.identity import Identity, Source, StoredAvatar, UsernameHistory
from app.models.ingest import DeadLetter
from app.models.process import Level
from app.models.run import ItemState, Run, RunItem, RunKind, RunState
from app.viewer import Viewer

FIRST = 100_000  # ID of the first row
STEP, HOUR = timedelta(minutes=1), timedelta(hours=1)
KNOWN_EVERY = 3  # of the contacts two thirds are unknown
STALE = timedelta(days=60)
UNREAD = 500  # conversations that only other users have read
Row = dict[str, Any]


class LargeAccount:
    """Fills an account whose contacts are all called Anna. Larger means older: what is newest stays the same."""

    def __init__(self, account: Account, viewer: Viewer) -> None:
        self.account_id, self.ig_account_id, self.user_id = account.id, account.ig_account_id, viewer.user_id
        self.now, self.size = clock.now(), 0
        with transaction.write() as tx:
            receiver = AlertReceiver(
                kind=ReceiverKind.URL, address="http://127.0.0.1:9/", events=[], zone="UTC", created_at=self.now
            )
            tx.session.add(receiver)
            tx.session.add(OwnerRequest(code="a" * 32, digest=digest("request"), requested_at=self.now))
            tx.session.flush()
            self.receiver_id = receiver.id

    def grow(self, contacts: int) -> None:
        """Add contacts until there are this many, and as many rows of everything else."""
        numbers, self.size = range(self.size, contacts), contacts
        rows: tuple[tuple[type[Model], Callable[[int], Row]], ...] = (
            *((Identity, self._identity), (Conversation, self._conversation), (Message, self._message)),
            *((UsernameHistory, self._former), (StoredAvatar, self._picture)),
            *((ApiCall, self._call), (Run, self._job), (RunItem, self._item), (Gap, self._gap)),
            *((DeadLetter, self._dead_letter), (AuditEntry, self._entry)),
            *((Alert, self._alert), (AlertDelivery, self._delivery)),
        )
        with transaction.write() as tx:
            for model, row in rows:
                tx.execute(insert(model), [row(number) for number in numbers])
            unread = [self._unread(number) for number in numbers if number < UNREAD]
            if unread:
                tx.execute(insert(UnreadByUser), unread)

    def _at(self, number: int) -> datetime:
        return self.now - number * STEP

    def _hour(self, number: int) -> datetime:
        return self.now - number * HOUR

    def _contact(self, number: int) -> str:
        return f"15{10_000_000_000_000 + number}"

    def _identity(self, number: int) -> Row:
        username = None if number % KNOWN_EVERY else f"anna.{number}"
        failed = number % 2 == 1 and username is None
        return {
            "id": FIRST + number,
            "account_id": self.account_id,
            "ig_participant_id": self._contact(number),
            "username": username,
            "username_source": username and Source.PROFILE,
            "first_seen_at": self._at(number),
            "last_success_at": self.now - (number % 2) * STALE if username else None,
            "last_failure_at": self._at(number) if failed else None,
            "last_error": "not_visible" if failed else None,
            "failure_count": 5 if failed else 0,
            "terms": username and search_words.stored(username),
        }

    def _conversation(self, number: int) -> Row:
        at = self._at(number)
        return {
            "id": FIRST + number,
            "account_id": self.account_id,
            "ig_participant_id": self._contact(number),
            "known": number % KNOWN_EVERY == 0,
            "unread_count": number % 2,
            "first_message_at": at,
            "last_message_at": at,
            "last_message_mid": f"m{number}",
            "last_message_kind": "text",
            "last_message_preview": "Thank you",
            "last_message_outgoing": False,
            "arrival_count": 1,
            "last_incoming_at": at,
            "needs_reply_since": at if number % 2 else None,
        }

    def _message(self, number: int) -> Row:
        mid = f"m{number}"
        return {
            "account_id": self.account_id,
            "conversation_id": FIRST + number,
            "mid_digest": digest(mid),
            "mid": mid,
            "ig_sender_id": self._contact(number),
            "outgoing": False,
            "arrival": 1,
            "kind": "text",
            "text": "Thank you",
            "sent_at": self._at(number),
            "terms": search_words.stored("Thank you", ["ktext"]),
        }

    def _former(self, number: int) -> Row:
        return {
            "identity_id": FIRST + number,
            "old_username": f"anna.was.{number}",
            "new_username": f"anna.{number}",
            "source": Source.PROFILE,
            "at": self._at(number),
        }

    def _picture(self, number: int) -> Row:
        return {"identity_id": FIRST + number, "content": b"webp", "version": "1", "tried_at": self._at(number)}

    def _unread(self, number: int) -> Row:
        return {
            "conversation_id": FIRST + number,
            "user_id": self.user_id,
            "account_id": self.account_id,
            "read_through": 0,
            "unread_count": 1,
            "changed_at": self._at(number),
        }

    def _call(self, number: int) -> Row:
        return {
            "account_id": self.account_id,
            "call": "profile",
            "purpose": Purpose.LIVE,
            "ig_participant_id": self._contact(number),
            "at": self._at(number),
            "http_status": 200,
            "took_ms": 150,
            "answer": "username",
        }

    def _job(self, number: int) -> Row:
        return {
            "id": f"{number:012}",
            "account_id": self.account_id,
            "kind": RunKind.BACKFILL,
            "state": RunState.DONE,
            "batch_size": 10,
            "started_by": "Schedule",
            "created_at": self._hour(number),
            "started_at": self._hour(number),
            "finished_at": self._hour(number),
            "total": 1,
            "failed": 1,
        }

    def _item(self, number: int) -> Row:
        return {
            "run_id": f"{number:012}",
            "ig_participant_id": self._contact(number),
            "position": number,
            "state": ItemState.FAILED,
            "reason": "not_visible",
            "settled_at": self._hour(number),
        }

    def _gap(self, number: int) -> Row:
        return {
            "account_id": self.account_id,
            "began_at": self._hour(number),
            "ended_at": self._hour(number),
            "causes": [GapCause.SILENCE],
            "state": GapState.CLOSED,
            "closed_at": self._hour(number),
            "dismissed_at": self._hour(number) if number % 2 else None,
        }

    def _dead_letter(self, number: int) -> Row:
        return {
            "account_id": self.account_id,
            "ig_account_id": self.ig_account_id,
            "reason": "unknown_event",
            "explanation": "An event of an unknown kind.",
            "raw": b"{}",
            "digest": digest(f"letter {number}"),
            "received_at": self._hour(number),
        }

    def _entry(self, number: int) -> Row:
        return {
            "at": self._hour(number),
            "actor": "user 1",
            "action": Action.SIGNED_IN,
            "ig_account_id": self.ig_account_id,
        }

    def _alert(self, number: int) -> Row:
        at = self._hour(number)
        ended = {"account_id": self.account_id, "opened_at": at, "since": at, "seen_at": at, "recovered_at": at}
        return ended | {"id": FIRST + number, "kind": AlertKind.SILENT, "level": Level.WARNING, "text": "Silent."}

    def _delivery(self, number: int) -> Row:
        return {
            "receiver_id": self.receiver_id,
            "alert_id": FIRST + number,
            "event": AlertEvent.OPENED,
            "key": f"alert {number}",
            "message_id": f"message {number}",
            "payload": "{}",
            "state": DeliveryState.DELIVERED,
            "created_at": self._hour(number),
            "ended_at": self._hour(number),
        }
