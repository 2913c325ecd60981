"""A gap is one alert per account: open while its messages are fetched, recovered with what was fetched and lost."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy import update

from app import clock, gaps, settings
from app.alerts import lifecycle, receivers
from app.alerts.listing import ListedAlert
from app.alerts.receivers import AlertEvent
from app.db import transaction
from app.db.engine import db
from app.models.account import Account, AccountState
from app.models.alert import Alert, AlertKind
from app.models.gap import Gap, GapCause
from app.runs import gap_reports
from app.runs import lifecycle as runs
from app.viewer import OPERATOR
from tests.alerts.test_deliveries import send, sent
from tests.alerts.test_lifecycle import beat, break_token, check, listed
from tests.factories import CAMILLE, LEA, MAISON_LUNE, a_sandbox_account
from tests.ingest.test_sync import wrote
from tests.runs.test_gap_reports import recorded, the_gap, worked
from tests.support.alert_sinks import HttpSink, http_sink
from tests.support.processes import Sandbox


@pytest.fixture
def account(app: Flask, redis: Redis, meta: Sandbox) -> Account:
    beat()
    return a_sandbox_account(connected_at=clock.now() - timedelta(days=400))


@pytest.fixture
def sink(app: Flask) -> Iterator[HttpSink]:
    """A receiver of alerts that was added long ago."""
    with http_sink() as found, settings.using(alert_private_addresses=True):
        receivers.add(OPERATOR, found.url, events=(AlertEvent.OPENED, AlertEvent.RECOVERED))
        yield found


def of_gap() -> list[ListedAlert]:
    return [each for each in listed() if each.kind is AlertKind.GAP_FOUND]


def messages(sink: HttpSink) -> list[tuple[str, str]]:
    send()
    return [(each["type"], each["data"]["kind"]) for each in sent(sink)]


def check_a_minute_later() -> None:
    """Check again: the text of an open alert is updated once a minute."""
    with transaction.write() as tx:
        tx.execute(update(Alert).values(seen_at=clock.now() - lifecycle.SEEN_EVERY))
    check()


def reconnect(account: Account) -> None:
    """Let Meta reject the access token, then accept it again; with its alert and its gap."""
    break_token()
    gap_reports.advance()
    check()
    send()
    break_token(state=AccountState.CONNECTED)
    gap_reports.advance()
    check()


def test_an_outage_is_an_alert_until_its_messages_are_fetched(account: Account, meta: Sandbox, sink: HttpSink) -> None:
    wrote(meta, LEA, times=23)
    recorded(account)
    check()
    [alert] = of_gap()
    assert (alert.state, alert.ig_account_id) == ("open", MAISON_LUNE)
    assert alert.text.endswith(" UTC (Nametag not running). The messages are being fetched.")
    assert messages(sink) == [("alert.opened", "gap_found")]
    worked()
    check()
    [alert] = of_gap()
    assert alert.state == "recovered"
    assert alert.text.endswith(": 20 messages in 1 conversation were fetched, 3 could not be.")
    assert alert.fix
    assert messages(sink)[1:] == [("alert.recovered", "gap_found")]
    assert sent(sink)[1]["data"]["text"] == alert.text


def test_overlapping_gaps_are_one_alert(account: Account, meta: Sandbox, sink: HttpSink) -> None:
    recorded(account, minutes=60)
    check()
    recorded(account, minutes=30, cause=GapCause.DATABASE)
    check_a_minute_later()
    [alert] = of_gap()
    assert "(Nametag not running, Database unavailable)" in alert.text
    assert messages(sink) == [("alert.opened", "gap_found")]


def test_a_lasting_gap_has_the_alert_of_its_cause_only(account: Account, sink: HttpSink) -> None:
    break_token()
    gap_reports.advance()
    check()
    assert the_gap().ended_at is None
    assert of_gap() == []
    assert messages(sink) == [("alert.opened", "token_rejected")]


def test_after_the_alert_of_its_cause_a_gap_sends_its_result_only(
    account: Account, meta: Sandbox, sink: HttpSink
) -> None:
    wrote(meta, LEA, times=2)
    wrote(meta, CAMILLE)
    with transaction.write() as tx:
        tx.execute(update(Account).values(last_webhook_at=clock.now() - timedelta(hours=1)))
    reconnect(account)
    assert messages(sink) == [("alert.opened", "token_rejected"), ("alert.recovered", "token_rejected")]
    assert [each.state for each in of_gap()] == ["open"]
    worked()
    check()
    assert messages(sink)[2:] == [("alert.recovered", "gap_found")]
    assert "3 messages in 2 conversations were fetched." in of_gap()[0].text


def test_after_the_alert_of_its_cause_a_gap_without_messages_sends_nothing(
    account: Account, meta: Sandbox, sink: HttpSink
) -> None:
    reconnect(account)
    worked()
    check()
    assert [each.state for each in of_gap()] == ["recovered"]
    assert messages(sink) == [("alert.opened", "token_rejected"), ("alert.recovered", "token_rejected")]


def test_an_open_alert_stays_open_when_its_gap_begins_to_last(account: Account, sink: HttpSink) -> None:
    recorded(account)
    check()
    with transaction.write() as tx:
        gaps.record(tx, account.id, GapCause.RECONNECT, began_at=clock.now() - timedelta(minutes=30))
    check_a_minute_later()
    [alert] = of_gap()
    assert (alert.state, alert.text.endswith("It has not ended.")) == ("open", True)


def test_a_sync_that_does_not_finish_is_reported(account: Account, meta: Sandbox, sink: HttpSink) -> None:
    recorded(account)
    check()
    send()
    gap_reports.advance()
    runs.cancel(OPERATOR, the_gap().run_id or "")
    gap_reports.advance()
    check()
    [alert] = of_gap()
    assert (alert.state, "Start a conversation sync." in alert.text) == ("recovered", True)
    assert messages(sink) == [("alert.opened", "gap_found"), ("alert.recovered", "gap_found")]


def test_an_old_gap_that_was_closed_opens_no_alert(account: Account) -> None:
    recorded(account)
    with transaction.write() as tx:
        tx.execute(update(Gap).values(state="closed", closed_at=clock.now()))
    check()
    db.session.rollback()
    assert of_gap() == []
