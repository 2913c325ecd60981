"""After a rollback, rows contain enum values of a newer release. They are shown as "Other" and break nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import text, update

from app import audit, clock, queue, scheduler, settings
from app.alerts import outbox, receivers
from app.db import transaction
from app.db.engine import Model, db
from app.db.types import EnumText
from app.factory import create_app
from app.models.alert import Alert, AlertKind, AlertReceiver
from app.models.call import ApiCall, Purpose
from app.models.conversation import Conversation, Message
from app.models.erasure import OwnerRequest
from app.models.gap import Gap, GapState
from app.models.identity import Identity, Source, StoredAvatar, UsernameHistory
from app.models.ingest import DeadLetter, PendingMessageUpdate
from app.models.process import Level
from app.models.run import ItemState, Run, RunItem, RunKind, RunState
from app.models.user import Pin
from app.runs import lifecycle, sync_job
from app.users.api_tokens import TokenScope
from app.viewer import OPERATOR, Role
from tests.api.clients import an_api_client
from tests.calls.lookups import made
from tests.cli.commands import nametag
from tests.factories import LEA, RUI, SHY, a_user, an_account, people_wrote
from tests.support import databases
from tests.support.web_client import WebClient
from tests.support.webhooks import receive_webhook
from tests.web import addresses
from tests.web.browsing import HTMX, signed_in

NEWER = "newer word"
QUEUES = sorted({task.queue for task in queue.TASKS.values()})
TEXTS = (
    *(
        Identity.last_error,
        Message.kind,
        Conversation.last_message_kind,
        Conversation.status,
        ApiCall.code,
        ApiCall.call,
    ),
    *(RunItem.reason, DeadLetter.reason, PendingMessageUpdate.kind),
)
WORDS = {
    table.name: [
        each.name
        for each in table.columns
        if isinstance(each.type, EnumText) or any(each is text_.property.columns[0] for text_ in TEXTS)
    ]
    for table in Model.metadata.sorted_tables
}

LISTS = (
    "gaps",
    "alert list",
    "alert receivers list",
    "audit list",
    "jobs list",
    "account list",
    "user list",
    "dead-letters list",
)
COMMANDS = ("identities export", *LISTS, *(f"{each} --json" for each in LISTS))


@pytest.fixture
def rolled_back(sqlite_database: str, redis: Redis, tmp_path: Path) -> Iterator[Flask]:
    """An installation with rows in every table that has enums."""
    with (
        settings.using(database_url=sqlite_database, nametag_data_dir=tmp_path),
        databases.app_context_of(create_app()) as app,
    ):
        app.test_client_class = WebClient
        account = an_account()
        people_wrote(LEA, RUI, SHY)
        receive_webhook(b"[]")
        made(account.id, 2, purpose=Purpose.LIVE)
        run_id = lifecycle.start(OPERATOR, account.id, kind=RunKind.BACKFILL)
        with transaction.write() as tx:
            failed = {"state": ItemState.FAILED, "reason": "consent", "code": "230"}
            tx.execute(update(RunItem).where(RunItem.ig_participant_id == SHY).values(**failed))
            tx.execute(update(Run).values(failed=1))
            names = {"old_username": "lea", "new_username": "lea.moreau", "source": Source.PROFILE, "at": clock.now()}
            tx.execute(tx.insert(UsernameHistory).values(identity_id=1, **names))
            named = (
                "UPDATE identities SET username = 'lea.moreau', username_source = 'profile', name_source = 'profile'"
            )
            tx.execute(text(f"{named}, picture_source = 'profile', last_error = 'consent' WHERE id = 1"))
            picture = {"content": b"RIFF", "version": "1", "tried_at": clock.now()}
            tx.execute(tx.insert(StoredAvatar).values(identity_id=1, **picture))
            gone = {"code": "a-code", "digest": b"0" * 16, "requested_at": clock.now(), "done_at": clock.now()}
            tx.execute(tx.insert(OwnerRequest).values(**gone))
            pending = {"mid_digest": b"1" * 16, "kind": "MessageSeen", "payload": {}, "digest": b"2" * 16}
            tx.execute(
                tx.insert(PendingMessageUpdate).values(account_id=account.id, received_at=clock.now(), **pending)
            )
            audit.note(tx, OPERATOR, audit.Action.JOB_STARTED, f"job {run_id}")
        _add_gap_and_alerts(account.id)
        yield app


def _add_gap_and_alerts(account_id: int) -> None:
    """Add a gap that a sync has read, an open and a recovered alert, and receivers; with words in lists, too."""
    now = clock.now()
    user_id, run_id = a_user().user_id, sync_job.begin(OPERATOR, account_id, since=now, total=1)
    added = receivers.add(OPERATOR, "https://example.com/alerts", events=receivers.CHOICES)
    with transaction.write() as tx:
        tx.execute(update(Run).where(Run.id == run_id).values(state=RunState.DONE, lost={NEWER: 2}, finished_at=now))
        item = {"run_id": run_id, "ig_participant_id": LEA, "position": 1, "state": ItemState.RESOLVED}
        tx.execute(tx.insert(RunItem).values(**item, found=1, lost={NEWER: 2}, settled_at=now))
        period = {"began_at": now, "ended_at": now, "closed_at": now, "causes": [NEWER], "lost": {NEWER: 2}, "found": 1}
        tx.execute(
            tx.insert(Gap).values(account_id=account_id, state=GapState.CLOSED_WITH_LOSSES, run_id=run_id, **period)
        )
        tx.execute(update(AlertReceiver).where(AlertReceiver.id == added.id).values(events=[NEWER, "alert.opened"]))
        for key, recovered_at in (("open", None), (None, now)):
            times = dict.fromkeys(("opened_at", "since", "seen_at"), now) | {"recovered_at": recovered_at}
            alert = {"kind": AlertKind.SILENT, "account_id": account_id, "level": Level.WARNING, "text": "No webhooks"}
            row = tx.insert(Alert).values(**alert, **times, open_key=key, reported_open=True)
            outbox.add_opened(tx, tx.execute(row.returning(Alert.id)).scalar_one(), now)
        tx.execute(tx.insert(Pin).values(user_id=user_id, name="Mine", filter="unread", q=""))


@pytest.mark.parametrize("table", [table for table, columns in WORDS.items() if columns])
def test_words_of_a_newer_release_break_nothing(rolled_back: Flask, table: str, redis: Redis) -> None:
    admin, client = signed_in(rolled_back, Role.ADMIN), an_api_client(rolled_back, *TokenScope)
    pages, api = addresses.of_pages(QUEUES), addresses.of_api()
    assert not addresses.not_among(rolled_back, [*pages, *api])
    newer = ", ".join(f"{column} = '{NEWER}'" for column in WORDS[table])
    others = " WHERE email <> 'admin@example.com'" if table == "users" else ""
    with transaction.write() as tx:
        tx.execute(text(f"UPDATE {table} SET {newer}{others}"))
        redis.flushall()  # and so the budget is counted from the rows
    for address in pages:
        assert admin.get(address).status_code < 400, address
        assert admin.get(address, headers=HTMX).status_code < 400, address
    for address in api:
        assert client.get(address).status_code < 400, address
    for duty in scheduler.DUTIES:
        duty()
        db.session.remove()
    for command in COMMANDS:
        result = nametag(*command.split())
        assert result.exit_code == 0, (command, result.output, result.exception)
    assert isinstance(nametag("doctor").exception, SystemExit | None)
