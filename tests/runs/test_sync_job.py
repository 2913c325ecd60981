"""The conversation sync as a job: pages, result, missing messages, pauses and killed workers."""

from datetime import timedelta
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import func, select, update

from app import clock, queue, schedules
from app.calls import gateway
from app.db import transaction
from app.db.engine import db
from app.errors import AlreadyRunning, Conflict, Forbidden, Invalid, NotFound, RetryLater
from app.ingest import sync
from app.instagram.errors import GraphAPIError, Reason, Scope
from app.models.account import Account
from app.models.conversation import Conversation, Message
from app.models.run import LossCause, Run, RunItem, RunKind, RunState
from app.runs import item_listing, leases, lifecycle, progress, retries, runner, sync_job
from app.runs.fencing import LeaseLostError
from app.runs.item_listing import ItemFilter
from app.runs.progress import Progress
from app.viewer import OPERATOR, Role, Viewer
from tests.factories import CAMILLE, LEA, MAISON_LUNE, RUI, a_delivery, a_message_event, a_sandbox_account
from tests.ingest.test_sync import wrote
from tests.support.processes import Sandbox
from tests.support.runs import run_of
from tests.support.webhooks import receive_webhook


@pytest.fixture
def account(meta: Sandbox) -> Account:
    return a_sandbox_account(connected_at=clock.now() - timedelta(hours=1))


def worked(run_id: str) -> Progress:
    """Run slices until the job ends; return its progress."""
    for _ in range(20):
        runner.run_slice(run_id)
        if not progress.get_current_progress(OPERATOR, run_id).active:
            break
    return progress.get_current_progress(OPERATOR, run_id)


def unsent(mid: str, sender: str = LEA) -> None:
    """Deliver that a message was unsent."""
    event = {"sender": {"id": sender}, "recipient": {"id": MAISON_LUNE}, "message": {"mid": mid, "is_deleted": True}}
    receive_webhook(a_delivery(event | {"timestamp": int(clock.now().timestamp() * 1000)}))


def items_of(run_id: str) -> dict[str | None, tuple[int, dict[str, int]]]:
    db.session.rollback()
    found = item_listing.iter_items(OPERATOR, run_id, ItemFilter())
    return {each.ig_participant_id: (each.found, dict(each.lost)) for each in found}


def test_a_sync_reports_what_it_read_found_and_could_not_fetch(account: Account, meta: Sandbox) -> None:
    wrote(meta, LEA, times=23)
    wrote(meta, CAMILLE)
    [gone] = wrote(meta, RUI, "sorry")
    meta.post("send", person=RUI, kind="unsend", mid=gone)
    wrote(meta, RUI, "Is it there?")
    unsent(gone, RUI)
    run = worked(sync_job.start(OPERATOR, account.id))
    assert run.state == "done"
    assert run.result == (
        "3 conversations, 22 new messages, 4 that Meta does not give: "
        "3 older than the newest 20 of a conversation, 1 unsent"
    )
    assert (run.total, run.resolved, run.fresh, run.percent) == (3, 3, 0, 100)
    assert items_of(run.run_id) == {RUI: (1, {}), CAMILLE: (1, {}), LEA: (20, {LossCause.OLDER: 3})}
    again = worked(sync_job.start(OPERATOR, account.id))
    assert (again.result, again.fresh) == ("3 conversations, 0 new messages", 3)


def test_the_result_is_kept_with_the_account(account: Account, meta: Sandbox) -> None:
    wrote(meta)
    run = worked(sync_job.start(OPERATOR, account.id))
    db.session.rollback()
    kept = db.session.execute(select(Account.covered_until, Account.last_sync_result)).one()
    assert kept.covered_until == run.created_at
    assert kept.last_sync_result["messages"] == 1


def test_a_limited_sync_does_not_count_as_complete(account: Account, meta: Sandbox) -> None:
    for person in (LEA, CAMILLE, RUI):
        wrote(meta, person)
    run = worked(sync_job.start(OPERATOR, account.id, most=2))
    assert (run.total, run.found) == (2, 2)
    db.session.rollback()
    assert db.session.execute(select(Account.covered_until)).scalar_one() is None
    with pytest.raises(Invalid):
        sync_job.start(OPERATOR, account.id, most=0)


def test_the_hourly_sync_moves_the_time_of_complete_coverage_forward_only(account: Account, meta: Sandbox) -> None:
    wrote(meta)
    sync.sync_account(account.id, until_known=True)
    first = db.session.execute(select(Account.covered_until)).scalar_one()
    meta.post("faults", mode="190")
    sync.sync_account(account.id, until_known=True)
    db.session.rollback()
    assert first is not None
    assert db.session.execute(select(Account.covered_until)).scalar_one() == first


def test_a_synced_message_that_a_webhook_delivers_later_did_not_come_by_the_sync_only(
    account: Account, meta: Sandbox
) -> None:
    [mid] = wrote(meta)
    worked(sync_job.start(OPERATOR, account.id))
    assert db.session.scalars(select(Message.from_sync)).one()
    receive_webhook(a_delivery(a_message_event(LEA, "Bonjour", mid=mid)))
    db.session.rollback()
    assert not db.session.scalars(select(Message.from_sync)).one()


def test_a_message_older_than_seven_days_is_history(meta: Sandbox) -> None:
    account = a_sandbox_account(connected_at=clock.now() - timedelta(days=400))
    wrote(meta, LEA, "Still there?")
    wrote(meta, CAMILLE, "Hello")
    days = timedelta(days=8)
    meta.request(
        "PATCH", f"conversations/{LEA}", message={"created_time": f"{clock.now() - days:%Y-%m-%dT%H:%M:%S+0000}"}
    )
    assert worked(sync_job.start(OPERATOR, account.id)).found == 2
    columns = (Conversation.unread_count, Conversation.needs_reply_since.is_not(None))
    found = select(Conversation.ig_participant_id, *columns)
    assert {row[0]: row[1:] for row in db.session.execute(found)} == {LEA: (0, False), CAMILLE: (1, True)}


def test_pages_are_counted_while_they_are_read(
    account: Account, meta: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for person in meta.get(f"people?account={MAISON_LUNE}")[:120]:
        wrote(meta, person["id"])
    run_id = sync_job.start(OPERATOR, account.id)
    pages = []
    while progress.get_current_progress(OPERATOR, run_id).active:
        lease = leases.take(run_id, who="here")
        assert lease
        shown = progress.get_current_progress(OPERATOR, run_id)
        pages.append((shown.page, shown.done, shown.percent < 100))
        step, _ = sync_job.read_page(lease)
        if step is not sync_job.PageStep.ENDED:
            leases.release(lease, unfinished=True)
    assert pages == [(1, 0, True), (2, 50, True), (3, 100, True)]
    assert progress.get_current_progress(OPERATOR, run_id).result == "120 conversations, 120 new messages"


def test_a_pause_a_lost_cursor_and_a_resume_change_nothing_in_the_result(
    account: Account, meta: Sandbox, redis: Redis
) -> None:
    for person in meta.get(f"people?account={MAISON_LUNE}")[:60]:
        wrote(meta, person["id"], times=2)
    run_id = sync_job.start(OPERATOR, account.id)
    lease = leases.take(run_id, who="here")
    assert lease
    sync_job.read_page(lease)
    lifecycle.pause(OPERATOR, run_id)
    assert sync_job.read_page(lease) == (sync_job.PageStep.STOPPED, 0)
    assert not leases.release(lease, unfinished=True)
    redis.flushall()
    lifecycle.resume(OPERATOR, run_id)
    run = worked(run_id)
    assert run.result == "60 conversations, 120 new messages"
    assert run_of(run_id).scanned_pages == 2


def test_a_canceled_sync_keeps_what_it_stored(account: Account, meta: Sandbox) -> None:
    wrote(meta)
    run_id = sync_job.start(OPERATOR, account.id)
    lease = leases.take(run_id, who="here")
    assert lease
    lifecycle.cancel(OPERATOR, run_id)
    assert not leases.release(lease, unfinished=True)
    assert run_of(run_id).state is RunState.CANCELED


@pytest.mark.parametrize("fault", ["4", "190", "500"])
def test_a_sync_waits_while_no_call_can_be_made(account: Account, meta: Sandbox, fault: str) -> None:
    wrote(meta)
    meta.post("faults", mode=fault)
    run_id = sync_job.start(OPERATOR, account.id)
    runner.run_slice(run_id)
    run = run_of(run_id)
    assert (run.state, bool(run.reason)) == (RunState.WAITING, True)
    assert run.resume_at is not None


def test_an_unreadable_conversation_is_counted_once(account: Account, meta: Sandbox) -> None:
    for person in (LEA, RUI, CAMILLE):
        wrote(meta, person)
    meta.request("PATCH", f"conversations/{RUI}", participants=[])
    run = worked(sync_job.start(OPERATOR, account.id))
    assert (run.done, run.lost) == (2, {LossCause.UNREADABLE: 1})


def test_missing_messages_that_cannot_be_counted_do_not_stop_the_sync(
    account: Account, meta: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrote(meta, times=23)

    def refused(*_: Any, **__: Any) -> None:
        raise GraphAPIError(Scope.CONTACT, Reason.REFUSED, "100", "Not found")

    monkeypatch.setattr(gateway, "message_ids", refused)
    assert worked(sync_job.start(OPERATOR, account.id)).lost == {}


def test_a_page_whose_count_fails_for_now_is_read_again(
    account: Account, meta: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrote(meta, times=23)
    as_ever, failing = gateway.message_ids, iter([True])

    def once(*arguments: Any, **options: Any) -> Any:
        if next(failing, False):
            raise RetryLater("the API call budget is used up", clock.now())
        return as_ever(*arguments, **options)

    monkeypatch.setattr(gateway, "message_ids", once)
    run = worked(sync_job.start(OPERATOR, account.id))
    assert (run.found, run.lost) == (20, {LossCause.OLDER: 3})


def test_an_account_has_one_active_sync_and_the_hourly_one_leaves_it_alone(account: Account, redis: Redis) -> None:
    run_id = sync_job.start(OPERATOR, account.id)
    with pytest.raises(AlreadyRunning) as refused:
        sync_job.start(OPERATOR, account.id)
    assert refused.value.run_id == run_id
    assert sync_job.get_plan(OPERATOR, account.id).active_run == run_id
    schedules.reconcile()
    assert redis.exists(f"nametag:hint:{queue.SYNC}:{account.id}") == 0
    lifecycle.cancel(OPERATOR, run_id)
    schedules.reconcile()
    assert redis.exists(f"nametag:hint:{queue.SYNC}:{account.id}") == 1


def test_a_sync_needs_ops_and_a_visible_account(account: Account) -> None:
    with pytest.raises(Forbidden):
        sync_job.start(Viewer(3, "agent", Role.AGENT), account.id)
    with pytest.raises(NotFound):
        sync_job.start(Viewer(2, "Oskar", Role.OPS, frozenset({999})), account.id)
    with pytest.raises(NotFound):
        sync_job.start(OPERATOR, None)


def test_a_sync_has_no_contacts_to_retry(account: Account, meta: Sandbox) -> None:
    run_id = worked(sync_job.start(OPERATOR, account.id)).run_id
    with pytest.raises(Conflict, match="no contacts to retry"):
        retries.retry(OPERATOR, run_id)


def test_the_plan_says_how_many_calls_and_how_long(account: Account, meta: Sandbox) -> None:
    assert sync_job.plan_text(sync_job.get_plan(OPERATOR, account.id), str).startswith("All conversations; done by")
    for person in meta.get(f"people?account={MAISON_LUNE}")[:60]:
        wrote(meta, person["id"])
    sync.sync_account(account.id)
    planned = sync_job.get_plan(OPERATOR, account.id)
    assert (planned.conversations, planned.calls, planned.active_run) == (60, 2, None)
    assert "About 60 conversations" in sync_job.plan_text(planned, str)


def test_a_worker_that_lost_the_lease_stores_no_item(account: Account, meta: Sandbox) -> None:
    wrote(meta)
    run_id = sync_job.start(OPERATOR, account.id)
    lost = leases.take(run_id, who="here")
    assert lost
    with transaction.write() as tx:
        tx.execute(update(Run).values(fence=Run.fence + 1))
    with pytest.raises(LeaseLostError):
        sync_job.read_page(lost)
    assert db.session.execute(select(func.count()).select_from(RunItem)).scalar_one() == 0
    assert db.session.execute(select(func.count()).select_from(Message)).scalar_one() == 0


def test_syncs_are_not_among_the_jobs_with_contacts_not_resolved(account: Account, meta: Sandbox) -> None:
    worked(sync_job.start(OPERATOR, account.id))
    assert progress.latest_reported(OPERATOR, []) is None
    assert [run.kind for run in progress.history(OPERATOR)] == [RunKind.SYNC]
