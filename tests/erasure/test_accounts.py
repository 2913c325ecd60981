"""A removed account leaves nothing behind, in tables that other accounts use, either."""

from flask import Flask
from sqlalchemy import select

from app import clock, gaps
from app.alerts import outbox, receivers
from app.alerts.outbox import Event
from app.alerts.receivers import AlertEvent
from app.db import transaction
from app.db.engine import db
from app.erasure import accounts
from app.models.account import Account, AccountPicture, AccountState
from app.models.alert import AlertReceiver
from app.models.gap import Gap, GapCause
from app.models.user import ApiToken, User
from app.users import api_tokens
from app.viewer import OPERATOR
from tests.factories import ATELIER_NORD, a_user, an_account
from tests.support.snapshot import places_of


def test_a_removed_account_is_in_no_list_of_accounts_and_no_delivery(app: Flask) -> None:
    """SQLite gives the row ID of a removed account to the next one."""
    kept, removed = an_account(), an_account(ATELIER_NORD)
    limited = a_user("nadia", account_ids=[removed.id])
    api_tokens.create(OPERATOR, "crm", ["read"], [removed.id])
    both_accounts, only = (
        receivers.add(OPERATOR, f"https://{name}.example.com", events=receivers.CHOICES, account_ids=ids).id
        for name, ids in (("both", [kept.id, removed.id]), ("only", [removed.id]))
    )
    now, facts = clock.now(), {"accountId": ATELIER_NORD, "jobId": "0123456789ab"}
    outbox.add_missing([Event(AlertEvent.JOB_FINISHED, "job.finished 0123456789ab", facts, removed.id, now)])
    with transaction.write() as tx:
        gaps.record(tx, removed.id, GapCause.OUTAGE, began_at=now, ended_at=now)
        tx.execute(tx.insert(AccountPicture).values(account_id=removed.id, content=b"RIFF", version="1", tried_at=now))
    assert "alert_deliveries" in places_of(ATELIER_NORD)
    with transaction.write() as tx:
        tx.session.get_one(Account, removed.id).state = AccountState.DELETING
    accounts.delete_pending()
    db.session.rollback()
    lists = {
        model: {row.id: row.account_ids for row in db.session.execute(select(model.id, model.account_ids))}
        for model in (User, ApiToken, AlertReceiver)
    }
    assert lists[User][limited.user_id or 0] == []
    assert list(lists[ApiToken].values()) == [[]]
    assert lists[AlertReceiver] == {both_accounts: [kept.id], only: []}
    assert places_of(ATELIER_NORD) <= {"audit_log"}
    for model in (Gap, AccountPicture):
        assert db.session.scalars(select(model)).all() == []
