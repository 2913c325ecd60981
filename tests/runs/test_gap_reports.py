"""Gaps: noticed, merged, read by a sync, and reported as the sandbox withheld the messages."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, select, update

from app import clock, gaps
from app.accounts import subscriptions
from app.backup import transfer
from app.calls import gateway
from app.db import transaction
from app.db.engine import db
from app.errors import NotFound, Unavailable
from app.findings import SILENT, Finding, Level
from app.findings import store as store_findings
from app.gaps import ListedGap
from app.ingest import sync
from app.models.account import Account, AccountState
from app.models.conversation import Conversation
from app.models.gap import Gap, GapCause, GapState
from app.models.process import Heartbeat
from app.models.run import LossCause, Run, RunScope
from app.runs import gap_reports, leases, lifecycle, runner, sync_job
from app.viewer import OPERATOR, Role, Viewer
from tests.factories import ATELIER_NORD, CAMILLE, LEA, MAISON_LUNE, a_sandbox_account, an_account, people_wrote
from tests.ingest.test_sync import wrote
from tests.support.at_once import at_once
from tests.support.frozen_clock import FrozenClock
from tests.support.processes import Sandbox

AGENT = Viewer(3, "nadia@example.com", Role.AGENT)
ELSEWHERE = Viewer(4, "Oskar", Role.OPS, frozenset({999}))
DAY = timedelta(days=1)


@pytest.fixture
def account(meta: Sandbox) -> Account:
    return a_sandbox_account(connected_at=clock.now() - 400 * DAY)


def in_the_night(_began_at: datetime, _ended_at: datetime) -> str:
    return "02:10–06:45"


def changed(**values: Any) -> None:
    with transaction.write() as tx:
        tx.execute(update(Account).values(**values))


def listed() -> list[ListedGap]:
    db.session.rollback()
    return gaps.list_gaps(OPERATOR)


def the_gap() -> ListedGap:
    [gap] = listed()
    return gap


def worked() -> None:
    """Work on all jobs until they end, as workers do, and let the scheduler look at gaps."""
    for _ in range(10):
        gap_reports.advance()
        for run_id, _kind in leases.ready(clock.now()):
            runner.run_slice(run_id)
        db.session.rollback()
    gap_reports.advance()


def recorded(account: Account, minutes: float = 60, cause: GapCause = GapCause.OUTAGE) -> None:
    with transaction.write() as tx:
        ended_at = clock.now()
        gaps.record(tx, account.id, cause, began_at=ended_at - timedelta(minutes=minutes), ended_at=ended_at)


def test_a_reconnected_account_has_a_gap_since_its_last_webhook(account: Account, meta: Sandbox) -> None:
    people_wrote(CAMILLE)
    last = clock.now() - timedelta(hours=3)
    changed(state=AccountState.RECONNECT, last_webhook_at=last)
    gap_reports.advance()
    assert (the_gap().causes, the_gap().began_at, the_gap().ended_at) == ((GapCause.RECONNECT,), last, None)
    assert the_gap().state is GapState.OPEN
    wrote(meta, LEA, times=3)
    changed(state=AccountState.CONNECTED)
    gap_reports.advance()
    assert the_gap().state is GapState.READING
    run = db.session.execute(select(Run.scope, Run.since, Run.started_by)).one()
    assert tuple(run) == (RunScope.GAP, last, "Schedule")
    worked()
    gap = the_gap()
    assert (gap.state, gap.found, gap.conversations, gap.lost) == (GapState.CLOSED, 3, 1, {})


def test_a_missing_subscription_that_a_check_repairs_leaves_a_gap(
    account: Account, meta: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscriptions.check(account.id)
    assert listed() == []  # of a new account all fields are missing
    last = clock.now() - timedelta(hours=1)
    changed(last_webhook_at=last)
    missing = iter([("messages",), ()])
    monkeypatch.setattr(gateway, "missing_subscriptions", lambda _: next(missing))
    subscriptions.check(account.id)
    gap = the_gap()
    assert (gap.causes, gap.began_at, gap.ended_at is not None) == ((GapCause.SUBSCRIPTION,), last, True)


def test_a_missing_subscription_lasts_until_it_is_repaired(account: Account) -> None:
    changed(missing_subscriptions=["messages"])
    gap_reports.advance()
    assert (the_gap().causes, the_gap().ended_at) == ((GapCause.SUBSCRIPTION,), None)
    changed(missing_subscriptions=["standby"])
    gap_reports.advance()
    assert the_gap().ended_at is not None


def test_a_silence_is_a_gap_once_it_ends(account: Account) -> None:
    last = clock.now() - timedelta(days=2)
    changed(last_webhook_at=last, covered_until=clock.now())
    silent = Finding("account", Level.WARNING, "No webhooks", key=SILENT, ig_account_id=MAISON_LUNE)
    store_findings([silent], clock.now())
    gap_reports.advance()
    assert (the_gap().causes, the_gap().began_at) == ((GapCause.SILENCE,), last)
    store_findings([], clock.now())
    gap_reports.advance()
    assert the_gap().ended_at is not None


def test_an_outage_of_all_web_servers_is_a_gap_of_every_account(app: Flask, frozen_clock: FrozenClock) -> None:
    for each in (MAISON_LUNE, ATELIER_NORD):
        an_account(each, connected_at=clock.now() - DAY)
    gaps.beat()
    frozen_clock.forward(seconds=110)
    gaps.beat()
    assert listed() == []
    down = clock.now()
    frozen_clock.forward(seconds=3600)
    gaps.beat()
    found = listed()
    assert {each.ig_account_id for each in found} == {MAISON_LUNE, ATELIER_NORD}
    assert {(each.causes, each.began_at, each.ended_at) for each in found} == {((GapCause.OUTAGE,), down, clock.now())}
    gaps.beat()
    assert len(listed()) == 2


def test_a_web_server_that_could_not_write_blames_the_database(
    app: Flask, frozen_clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    an_account(connected_at=clock.now() - DAY)
    gaps.beat()

    def unavailable() -> None:
        raise Unavailable("database")

    with monkeypatch.context() as away:
        away.setattr(transaction, "write", unavailable)
        frozen_clock.forward(seconds=60)
        gaps.beat()
    frozen_clock.forward(seconds=200)
    gaps.beat()
    assert the_gap().causes == (GapCause.DATABASE,)


def test_a_first_start_and_a_new_account_have_no_gap(app: Flask, frozen_clock: FrozenClock) -> None:
    gaps.beat()
    assert listed() == []
    with transaction.write() as tx:
        tx.execute(delete(Heartbeat))
    gaps.beat()
    frozen_clock.forward(seconds=600)
    connected = clock.now()
    account = an_account()
    frozen_clock.forward(seconds=600)
    gaps.beat()
    assert the_gap().began_at == connected == account.connected_at


def test_overlapping_gaps_are_one(account: Account) -> None:
    now = clock.now()
    hours = [(9, 7, GapCause.OUTAGE), (5, 3, GapCause.DATABASE), (8, 4, GapCause.SUBSCRIPTION), (2, 1, GapCause.OUTAGE)]
    with transaction.write() as tx:
        for began, ended, cause in hours:
            times = {"began_at": now - timedelta(hours=began), "ended_at": now - timedelta(hours=ended)}
            gaps.record(tx, account.id, cause, **times)
    later, merged = listed()
    assert merged.causes == (GapCause.OUTAGE, GapCause.DATABASE, GapCause.SUBSCRIPTION)
    assert (merged.began_at, merged.ended_at) == (now - timedelta(hours=9), now - timedelta(hours=3))
    assert later.began_at == now - timedelta(hours=2)


def test_a_gap_that_begins_while_one_is_read_is_read_with_it(account: Account, meta: Sandbox) -> None:
    recorded(account)
    gap_reports.advance()
    first = the_gap().run_id
    recorded(account, minutes=90)
    assert the_gap().state is GapState.OPEN
    worked()
    gap = the_gap()
    assert (gap.state, gap.run_id != first) == (GapState.CLOSED, True)
    assert db.session.execute(select(Run.since).where(Run.id == gap.run_id)).scalar_one() == gap.began_at


def test_an_ended_gap_waits_for_a_working_token_and_for_the_active_sync(account: Account, meta: Sandbox) -> None:
    running = sync_job.start(OPERATOR, account.id)
    recorded(account)
    gap_reports.advance()
    assert the_gap().state is GapState.OPEN
    lifecycle.cancel(OPERATOR, running)
    changed(state=AccountState.RECONNECT)
    gap_reports.advance()
    assert (the_gap().state, the_gap().ended_at) == (GapState.OPEN, None)


def test_a_canceled_sync_gives_its_gap_up(account: Account, meta: Sandbox) -> None:
    recorded(account)
    gap_reports.advance()
    lifecycle.cancel(OPERATOR, the_gap().run_id or "")
    gap_reports.advance()
    assert the_gap().state is GapState.GIVEN_UP
    [report] = gaps.reports(AGENT, account.id)
    assert "The sync did not finish" in gaps.as_text(report, in_the_night)


def test_what_the_hourly_sync_fetched_during_a_gap_counts(account: Account, meta: Sandbox) -> None:
    wrote(meta, LEA, times=2)
    sync.sync_account(account.id, until_known=True)
    recorded(account)
    wrote(meta, CAMILLE)
    with transaction.write() as tx:
        tx.execute(update(Gap).values(ended_at=clock.now()))
    worked()
    assert (the_gap().found, the_gap().conversations) == (3, 2)


def test_a_report_is_one_sentence_and_one_dismissal_is_for_all(account: Account, meta: Sandbox) -> None:
    wrote(meta, LEA, times=23)
    recorded(account)
    worked()
    [report] = gaps.reports(AGENT, account.id)
    assert gaps.as_text(report, in_the_night) == (
        "@maison.lune received nothing 02:10–06:45: 20 messages in 1 conversation were fetched, 3 could not be."
    )
    assert (report.state, report.lost) == (GapState.CLOSED_WITH_LOSSES, {LossCause.OLDER: 3})
    with pytest.raises(NotFound):
        gaps.dismiss(ELSEWHERE, report.id)
    assert gaps.list_gaps(ELSEWHERE) == []
    gaps.dismiss(AGENT, report.id)
    gaps.dismiss(OPERATOR, report.id)
    assert gaps.reports(OPERATOR, account.id) == []
    assert the_gap().dismissed_by == AGENT.name


def test_a_gap_in_which_nothing_was_missed_is_not_reported(account: Account, meta: Sandbox) -> None:
    recorded(account)
    worked()
    assert the_gap().state is GapState.CLOSED
    assert gaps.reports(OPERATOR, account.id) == []


def test_a_gap_of_eleven_months_opens_no_conversation(account: Account, meta: Sandbox) -> None:
    wrote(meta, LEA, "Is it available?")
    wrote(meta, CAMILLE, "Hello")
    sent = f"{clock.now() - 30 * DAY:%Y-%m-%dT%H:%M:%S+0000}"
    for person in (LEA, CAMILLE):
        meta.request("PATCH", f"conversations/{person}", message={"created_time": sent})
    recorded(account, minutes=335 * 24 * 60)
    worked()
    gap = the_gap()
    assert (gap.found, gap.history) == (2, 2)
    assert "2 of them are older than 7 days" in gaps.as_text(gap, in_the_night)
    states = select(Conversation.unread_count, Conversation.needs_reply_since)
    assert {tuple(row) for row in db.session.execute(states)} == {(0, None)}


def test_old_gaps_are_deleted(account: Account, meta: Sandbox, frozen_clock: FrozenClock) -> None:
    recorded(account)
    worked()
    assert gap_reports.purge() == 0
    frozen_clock.forward(seconds=91 * 24 * 3600)
    assert gap_reports.purge() == 1
    assert listed() == []


def test_a_webhook_stored_while_the_clock_was_ahead_does_not_hide_the_gap(account: Account) -> None:
    """A gap that begins after its end would be read by a sync that reads nothing."""
    changed(state=AccountState.RECONNECT, last_webhook_at=clock.now() + timedelta(hours=2))
    gap_reports.advance()
    assert the_gap().began_at <= clock.now()
    changed(state=AccountState.CONNECTED)
    gap_reports.advance()
    ended_at = the_gap().ended_at
    assert ended_at is not None
    assert the_gap().began_at <= ended_at


def test_several_schedulers_record_one_gap_and_start_one_sync(app: Flask, account: Account) -> None:
    people_wrote(CAMILLE)
    changed(state=AccountState.RECONNECT)
    at_once(app, 4, gap_reports.advance)
    assert len(listed()) == 1
    changed(state=AccountState.CONNECTED)
    at_once(app, 4, gap_reports.advance)
    db.session.rollback()
    assert len(db.session.scalars(select(Run)).all()) == 1
    assert len(listed()) == 1


def test_web_servers_whose_clocks_differ_record_no_gap_again(app: Flask, frozen_clock: FrozenClock) -> None:
    an_account(connected_at=clock.now() - DAY)
    for _ in range(5):
        gaps.beat()
        frozen_clock.forward(minutes=5)  # another server, whose clock is ahead
        gaps.beat()
        frozen_clock.forward(minutes=-5, seconds=10)
    gaps.beat()
    before = [(each.began_at, each.ended_at) for each in listed()]
    frozen_clock.forward(minutes=5)
    gaps.beat()
    assert [(each.began_at, each.ended_at) for each in listed()] == before
    assert len(before) == 1  # the first time ahead can't be told from an outage


def test_a_clock_that_was_days_ahead_hides_no_later_outage(app: Flask, frozen_clock: FrozenClock) -> None:
    an_account(connected_at=clock.now() - DAY)
    frozen_clock.forward(days=3)
    gaps.beat()
    frozen_clock.forward(days=-3)
    gaps.beat()
    assert listed() == []
    frozen_clock.forward(minutes=30)
    gaps.beat()
    gap = the_gap()
    assert gap.ended_at is not None
    assert gap.ended_at - gap.began_at == timedelta(minutes=30)


def test_a_restored_backup_leaves_a_gap_since_it_was_made(
    account: Account, frozen_clock: FrozenClock, tmp_path: Path
) -> None:
    gaps.beat()
    made = clock.now()
    transfer.back_up(tmp_path / "backup.zip")
    for _ in range(3):
        frozen_clock.forward(minutes=1)
        gaps.beat()
    db.session.rollback()
    transfer.restore(tmp_path / "backup.zip", replace=True)
    gaps.beat()
    gap = the_gap()
    assert (gap.causes, gap.began_at, gap.ended_at) == ((GapCause.OUTAGE,), made, clock.now())
