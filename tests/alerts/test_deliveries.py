"""Alerts are sent to URLs and email addresses: signed, once, with retries, and not in quiet hours."""

import json
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from flask import Flask
from redis import Redis
from sqlalchemy import select, update
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from app import clock, doctor, schedules, settings
from app.accounts import key_rotation
from app.alerts import deliveries, http, lifecycle, listing, outbox, receivers
from app.alerts.deadline import NotSent
from app.alerts.receivers import AddedReceiver, AlertEvent, QuietHours
from app.db import transaction
from app.db.engine import db
from app.errors import Conflict, Forbidden, Invalid, NotFound
from app.models.account import Account, AccountState
from app.models.alert import AlertDelivery, AlertKind, AlertReceiver, DeliveryState
from app.models.run import Run, RunKind, RunState
from app.runs import job_events
from app.runs import lifecycle as run_lifecycle
from app.viewer import OPERATOR, Role, Viewer
from tests.alerts.test_lifecycle import beat, break_token, check, kill_workers
from tests.factories import ATELIER_NORD, LEA, MAISON_LUNE, an_account, people_wrote
from tests.support.alert_sinks import HttpSink, SmtpSink, http_sink, smtp_sink
from tests.support.at_once import at_once
from tests.support.frozen_clock import FrozenClock

VECTOR = (  # published with the specification
    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "msg_p5jXN8AQM9LWM0D4loKWxJek",
    1614265330,
    '{"test": 2432232314}',
    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
)


@pytest.fixture(autouse=True)
def well(app: Flask, redis: Redis, frozen_clock: FrozenClock) -> Iterator[None]:
    an_account()
    beat()
    with settings.using(alert_private_addresses=True, mail_from="nametag@example.com"):
        yield


@pytest.fixture
def sink() -> Iterator[HttpSink]:
    with http_sink() as found:
        yield found


@pytest.fixture
def mail() -> Iterator[SmtpSink]:
    with smtp_sink() as found, settings.using(smtp_url=found.url):
        yield found


def add(address: str, **options: Any) -> AddedReceiver:
    return receivers.add(OPERATOR, address, **({"events": receivers.CHOICES} | options))


def send() -> None:
    """Run the duty until nothing is due: no test queues more for one receiver."""
    for _ in range(3):
        deliveries.send_due()
    db.session.rollback()


def sent(sink: HttpSink) -> list[dict[str, Any]]:
    return [json.loads(body) for body, _ in sink.requests]


def states() -> list[tuple[str, DeliveryState, int]]:
    db.session.rollback()
    columns = (AlertDelivery.event, AlertDelivery.state, AlertDelivery.tries)
    rows = db.session.execute(select(*columns).order_by(AlertDelivery.id))
    return [(event, state, tries) for event, state, tries in rows]


def test_dead_workers_are_one_alert_and_one_recovery_for_url_and_email(
    sink: HttpSink, mail: SmtpSink, frozen_clock: FrozenClock
) -> None:
    people_wrote(LEA)
    add(sink.url)
    add("ops@example.com")
    kill_workers()
    for _ in range(5):
        check()
        send()
        frozen_clock.forward(seconds=10)
    beat()
    for _ in range(3):
        check()
        send()
    about = [(each["type"], each["data"]["kind"]) for each in sent(sink) if each["data"]["kind"] == "worker_missing"]
    assert about == [("alert.opened", "worker_missing"), ("alert.recovered", "worker_missing")]
    subjects = [each["Subject"] for each in mail.messages if "Worker missing" in each["Subject"]]
    assert subjects == ["[Nametag] Worker missing", "[Nametag] Recovered: Worker missing"]
    assert mail.messages[0]["To"] == "ops@example.com"
    assert "nametag up" in mail.messages[0].get_content()
    assert LEA not in str(sent(sink))


def test_a_request_is_signed_as_standard_webhooks_defines(sink: HttpSink, frozen_clock: FrozenClock) -> None:
    frozen_clock.at = datetime.now(UTC)
    added = add(sink.url)
    outbox.send_test(OPERATOR, added.id)
    send()
    [(body, headers)] = sink.requests
    assert added.secret
    assert Webhook(added.secret).verify(body, headers)["type"] == "receiver.test"
    assert headers["content-type"] == "application/json"


def test_the_signature_is_that_of_the_published_example(frozen_clock: FrozenClock) -> None:
    secret, message_id, at, payload, signature = VECTOR
    frozen_clock.at = datetime.fromtimestamp(at, UTC)
    headers = deliveries.signed_headers([secret], message_id, payload)
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == (message_id, str(at))
    assert headers["webhook-signature"] == signature


def test_for_a_day_after_a_rotation_both_secrets_verify_a_request_and_then_the_new_one_only(
    sink: HttpSink, frozen_clock: FrozenClock
) -> None:
    frozen_clock.at = datetime.now(UTC)
    added = add(sink.url)
    new = receivers.rotate_secret(OPERATOR, added.id)
    outbox.send_test(OPERATOR, added.id)
    send()
    assert added.secret
    for secret in (added.secret, new):
        assert Webhook(secret).verify(*sink.requests[0])
    [listed] = receivers.list_receivers(OPERATOR)
    assert listed.old_secret_until == frozen_clock.at + timedelta(hours=24)
    with transaction.write() as tx:
        assert receivers.purge(tx, clock.now()) == 0
        assert receivers.purge(tx, clock.now() + timedelta(hours=24)) == 1
    outbox.send_test(OPERATOR, added.id)
    send()
    assert Webhook(new).verify(*sink.requests[1])
    with pytest.raises(WebhookVerificationError):
        Webhook(added.secret).verify(*sink.requests[1])


def test_an_old_secret_stops_signing_after_a_day_without_a_cleanup(sink: HttpSink, frozen_clock: FrozenClock) -> None:
    added = add(sink.url)
    receivers.rotate_secret(OPERATOR, added.id)
    frozen_clock.forward(hours=24)
    assert receivers.list_receivers(OPERATOR)[0].old_secret_until is None
    outbox.send_test(OPERATOR, added.id)
    send()
    assert len(sink.requests[0][1]["webhook-signature"].split(" ")) == 1


def test_a_second_rotation_keeps_the_secret_before_it(sink: HttpSink, frozen_clock: FrozenClock) -> None:
    frozen_clock.at = datetime.now(UTC)
    added = add(sink.url)
    secrets = [receivers.rotate_secret(OPERATOR, added.id) for _ in range(2)]
    outbox.send_test(OPERATOR, added.id)
    send()
    for secret in secrets:
        assert Webhook(secret).verify(*sink.requests[0])


@pytest.mark.usefixtures("mail")
def test_an_email_address_has_no_secret_to_rotate() -> None:
    with pytest.raises(Conflict, match="has no secret"):
        receivers.rotate_secret(OPERATOR, add("ops@example.com").id)
    with pytest.raises(NotFound):
        receivers.rotate_secret(OPERATOR, 999)


def test_rotated_keys_encrypt_the_old_secret_too(sink: HttpSink, frozen_clock: FrozenClock) -> None:
    frozen_clock.at = datetime.now(UTC)
    added = add(sink.url)
    receivers.rotate_secret(OPERATOR, added.id)
    new = Fernet.generate_key().decode()
    with settings.using(token_encryption_keys=(new, *settings.current().token_encryption_keys)):
        key_rotation.rotate(OPERATOR)
    with settings.using(token_encryption_keys=(new,)):
        outbox.send_test(OPERATOR, added.id)
        send()
    assert added.secret
    assert Webhook(added.secret).verify(*sink.requests[0])


def test_a_failed_attempt_is_repeated_six_times_with_the_same_id_and_then_given_up(
    sink: HttpSink, frozen_clock: FrozenClock
) -> None:
    sink.status = 500
    added = add(sink.url)
    break_token()
    check()
    waits = list[timedelta]()
    for _ in range(8):
        send()
        before = frozen_clock.at
        next_try = db.session.scalar(select(AlertDelivery.next_try_at))
        if next_try:
            waits.append(next_try - before)
            frozen_clock.at = next_try
    assert waits == list(deliveries.RETRY_DELAYS)
    assert states() == [("alert.opened", DeliveryState.GIVEN_UP, 6)]
    assert len({headers["webhook-id"] for _, headers in sink.requests}) == 1
    [finding] = [each for each in doctor.examine(OPERATOR) if each.check == "alert receivers"]
    assert finding.message.endswith(f" {added.id} is not reached, its newest delivery was given up: it answered 500")
    sink.status = 204
    outbox.send_test(OPERATOR, added.id)
    send()
    assert [each for each in doctor.examine(OPERATOR) if each.check == "alert receivers"] == []


def test_410_switches_the_receiver_off_until_a_user_switches_it_on(sink: HttpSink) -> None:
    sink.status = 410
    added = add(sink.url)
    outbox.send_test(OPERATOR, added.id)
    send()
    break_token()
    check()
    send()
    assert len(sink.requests) == 1
    assert receivers.list_receivers(OPERATOR)[0].disabled_at
    [finding] = [each for each in doctor.examine(OPERATOR) if each.check == "alert receivers"]
    assert "switched off, because it answered 410 Gone" in finding.message
    with pytest.raises(Conflict):
        outbox.send_test(OPERATOR, added.id)
    receivers.enable(OPERATOR, added.id)
    sink.status = 200
    outbox.send_test(OPERATOR, added.id)
    send()
    assert len(sink.requests) == 2


def test_a_redirect_is_not_followed(sink: HttpSink) -> None:
    sink.status, sink.headers = 302, {"Location": sink.url}
    outbox.send_test(OPERATOR, add(sink.url).id)
    deliveries.send_due()
    assert len(sink.requests) == 1
    assert states() == [("receiver.test", DeliveryState.QUEUED, 1)]


def test_a_receiver_that_hangs_ends_at_the_deadline_and_delays_no_other(
    sink: HttpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "SECONDS", 0.3)
    sink.release.clear()
    with http_sink() as other:
        for receiver in (add(sink.url), add(other.url)):
            outbox.send_test(OPERATOR, receiver.id)
        deliveries.send_due()
        assert len(other.requests) == 1
    assert states() == [("receiver.test", DeliveryState.QUEUED, 1), ("receiver.test", DeliveryState.DELIVERED, 1)]
    sink.release.set()


def test_the_alert_of_an_account_that_is_removed_is_not_reported_as_recovered(sink: HttpSink) -> None:
    add(sink.url)
    break_token()
    check()
    send()
    with transaction.write() as tx:
        tx.execute(update(Account).values(state=AccountState.DELETING))
    check()
    send()
    assert [each["type"] for each in sent(sink)] == ["alert.opened"]


def test_a_receiver_with_many_deliveries_delays_no_other(sink: HttpSink) -> None:
    with http_sink() as busy:
        busy.status = 503
        add(busy.url)
        with transaction.write() as tx:
            for number in range(300):
                outbox.add(tx, AlertEvent.OPENED, f"alert.opened {number}", {}, account_id=None, now=clock.now())
        outbox.send_test(OPERATOR, add(sink.url).id)
        deliveries.send_due()
        assert (len(busy.requests), len(sink.requests)) == (1, 1)


def test_a_host_name_is_resolved_once_and_the_checked_address_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: the second answer would be a private address."""
    asked, connected = list[str](), list[Any]()

    def resolve(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        address = "127.0.0.1" if asked.count("rebind.example") > 1 else "203.0.114.7"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host if host[0].isdigit() else address, port))]

    def connect(_: socket.socket, address: Any) -> None:
        connected.append(address)
        raise OSError

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket.socket, "connect", connect)
    with settings.using(alert_private_addresses=False), pytest.raises(NotSent, match="no response"):
        http.post("https://rebind.example/alerts", b"{}", {})
    assert asked.count("rebind.example") == 1
    assert connected == [("203.0.114.7", 443)]


def test_a_server_that_answers_byte_by_byte_is_closed_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "SECONDS", 0.3)
    closed = threading.Event()

    def drip() -> None:
        connection, _ = server.accept()
        with connection:
            try:
                while not closed.wait(0.02):
                    connection.sendall(b"H")
            except OSError:
                closed.set()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=drip, daemon=True).start()
        with pytest.raises(NotSent, match="no response"):
            http.post(f"http://127.0.0.1:{server.getsockname()[1]}/", b"{}", {})
        assert closed.wait(10)


def test_private_addresses_are_refused_unless_a_setting_allows_them(sink: HttpSink) -> None:
    added = add(sink.url)
    with settings.using(alert_private_addresses=False):
        for address in (
            sink.url,
            "https://127.0.0.1/x",
            "https://[::1]/x",
            "https://10.0.0.7/x",
            "https://2130706433/x",  # 127.0.0.1 as one number, and its other forms
            "https://0x7f000001/x",
            "https://127.1/x",
            "https://0177.0.0.1/x",
            "https://127.0.0.1./x",
            "https://localhost./x",
            "https://[::ffff:127.0.0.1]/x",
            "https://[64:ff9b::7f00:1]/x",
            "https://[fe80::1%25eth0]/x",
            "http://example.com/x",
        ):
            with pytest.raises(Invalid):
                add(address)
        outbox.send_test(OPERATOR, added.id)
        send()
    assert sink.requests == []
    [receiver] = receivers.list_receivers(OPERATOR)
    assert receiver.last_error == "its host name resolves to a private address"


@pytest.mark.parametrize(
    "address",
    ["", "tea", "ftp://example.com", "https://", "https://a:b@example.com/", "https://example.com/" + 500 * "x"],
)
def test_other_addresses_are_refused(address: str, mail: SmtpSink) -> None:
    with pytest.raises(Invalid):
        add(address)


def test_an_email_address_needs_a_mail_server() -> None:
    with pytest.raises(Invalid, match="SMTP_URL"):
        add("ops@example.com")


def test_a_refused_email_is_retried(mail: SmtpSink, frozen_clock: FrozenClock) -> None:
    mail.refuses = True
    outbox.send_test(OPERATOR, add("ops@example.com").id)
    send()
    assert states() == [("receiver.test", DeliveryState.QUEUED, 1)]
    mail.refuses = False
    frozen_clock.forward(minutes=2)
    send()
    assert states() == [("receiver.test", DeliveryState.DELIVERED, 2)]
    assert [each["Subject"] for each in mail.messages] == ["[Nametag] Test"]


def test_a_flapping_account_sends_two_messages_in_a_day(sink: HttpSink, frozen_clock: FrozenClock) -> None:
    add(sink.url)
    for _ in range(32):
        for state, minutes in ((AccountState.RECONNECT, 20), (AccountState.CONNECTED, 25)):
            break_token(state=state)
            check()
            send()
            frozen_clock.forward(minutes=minutes)
            beat()
    assert [each["type"] for each in sent(sink)] == ["alert.opened", "alert.recovered"]


def test_an_alert_that_returns_and_stays_is_sent_again_after_half_an_hour(
    sink: HttpSink, frozen_clock: FrozenClock
) -> None:
    add(sink.url)
    for state in (AccountState.RECONNECT, AccountState.CONNECTED, AccountState.RECONNECT):
        break_token(state=state)
        check()
        send()
        frozen_clock.forward(seconds=1)
    assert len(sink.requests) == 2
    frozen_clock.forward(minutes=31)
    beat()
    check()
    check()
    send()
    assert [(each["type"], each["data"]["times"]) for each in sent(sink)] == [
        *(("alert.opened", 1), ("alert.recovered", 1), ("alert.opened", 2)),
    ]


def test_quiet_hours_hold_an_alert_and_drop_one_that_recovers_meanwhile(
    sink: HttpSink, frozen_clock: FrozenClock
) -> None:
    an_account(ATELIER_NORD)
    add(sink.url, quiet="22-7", zone="Europe/Paris")
    frozen_clock.at = datetime(2027, 1, 15, 22, 30, tzinfo=UTC)  # 23:30 in Paris
    beat()
    break_token()
    break_token(ATELIER_NORD)
    check()
    send()
    break_token(state=AccountState.CONNECTED)
    check()
    send()
    assert sink.requests == []
    assert DeliveryState.OBSOLETE in [state for _, state, _ in states()]
    frozen_clock.at = datetime(2027, 1, 16, 6, 1, tzinfo=UTC)
    send()
    assert [(each["type"], each["data"]["accountId"]) for each in sent(sink)] == [("alert.opened", ATELIER_NORD)]


def test_an_event_that_quiet_hours_hold_does_not_hide_the_result_of_a_test(
    sink: HttpSink, frozen_clock: FrozenClock
) -> None:
    frozen_clock.at = datetime(2027, 1, 15, 22, 30, tzinfo=UTC)
    added = add(sink.url, quiet="22-7")
    sink.status = 503
    outbox.send_test(OPERATOR, added.id)
    send()
    beat()
    break_token()
    check()
    [found] = receivers.list_receivers(OPERATOR)
    assert states()[-1][1] is DeliveryState.QUEUED
    assert len(states()) == 2
    assert (found.last_state, found.last_error) == (DeliveryState.QUEUED, "it answered 503")


def test_a_receiver_that_was_added_while_an_alert_was_open_is_not_sent_its_recovery(
    sink: HttpSink, frozen_clock: FrozenClock
) -> None:
    break_token()
    check()
    frozen_clock.forward(seconds=1)
    add(sink.url)
    break_token(state=AccountState.CONNECTED)
    check()
    send()
    assert sink.requests == []


def test_an_alert_that_recovers_after_a_failed_attempt_is_sent_as_recovered_only(
    sink: HttpSink, frozen_clock: FrozenClock
) -> None:
    add(sink.url)
    sink.status = 503
    break_token()
    check()
    send()
    sink.status = 200
    break_token(state=AccountState.CONNECTED)
    check()
    frozen_clock.forward(minutes=10)
    send()
    assert [each["type"] for each in sent(sink)] == ["alert.opened", "alert.recovered"]  # the first one failed


def test_a_recovery_in_quiet_hours_is_sent_at_their_end(sink: HttpSink, frozen_clock: FrozenClock) -> None:
    add(sink.url, quiet="22:00-07:00")
    frozen_clock.at = datetime(2027, 1, 15, 21, 59, tzinfo=UTC)
    beat()
    break_token()
    check()
    send()
    frozen_clock.forward(minutes=5)
    beat()
    break_token(state=AccountState.CONNECTED)
    check()
    send()
    assert [each["type"] for each in sent(sink)] == ["alert.opened"]
    frozen_clock.at = datetime(2027, 1, 16, 7, 0, tzinfo=UTC)
    send()
    assert [each["type"] for each in sent(sink)] == ["alert.opened", "alert.recovered"]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ((2027, 1, 15, 12, 0), (2027, 1, 15, 12, 0)),
        ((2027, 1, 15, 21, 0), (2027, 1, 16, 6, 0)),
        ((2027, 1, 16, 5, 59), (2027, 1, 16, 6, 0)),
        ((2027, 1, 16, 6, 0), (2027, 1, 16, 6, 0)),
        ((2027, 3, 27, 22, 0), (2027, 3, 28, 5, 0)),  # summer time begins in the night
    ],
)
def test_quiet_hours_end_on_the_clock_of_their_zone(at: tuple[int, ...], expected: tuple[int, ...]) -> None:
    quiet = QuietHours(22 * 60, 7 * 60, "Europe/Paris")
    assert quiet.until(datetime(*at, tzinfo=UTC)) == datetime(*expected, tzinfo=UTC)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize("quiet", ["22", "22-25", "22-22", "a-b", "22:00-07:00-08:00"])
def test_wrong_quiet_hours_are_refused(quiet: str) -> None:
    with pytest.raises(Invalid):
        add("https://example.com/", quiet=quiet)
    with pytest.raises(Invalid):
        add("https://example.com/", quiet="22-7", zone="Mars/Olympus")


def test_a_receiver_gets_the_events_and_accounts_it_was_added_for(sink: HttpSink) -> None:
    nord = an_account(ATELIER_NORD)
    add(sink.url, account_ids=[nord.id], events=[AlertEvent.OPENED])
    kill_workers()
    break_token()
    break_token(ATELIER_NORD)
    check()
    break_token(ATELIER_NORD, AccountState.CONNECTED)
    check()
    send()
    break_token(ATELIER_NORD)
    assert [(each["type"], each["data"]["accountId"]) for each in sent(sink)] in ([], [("alert.opened", ATELIER_NORD)])


def test_several_schedulers_send_a_delivery_once(app: Flask, sink: HttpSink) -> None:
    outbox.send_test(OPERATOR, add(sink.url).id)
    at_once(app, 3, deliveries.send_due)
    assert len(sink.requests) == 1


def test_a_delivery_of_a_killed_scheduler_is_repeated_after_a_minute(sink: HttpSink, frozen_clock: FrozenClock) -> None:
    outbox.send_test(OPERATOR, add(sink.url).id)
    with transaction.write() as tx:
        tx.execute(update(AlertDelivery).values(next_try_at=clock.now() + deliveries.LEASE))
    send()
    assert sink.requests == []
    frozen_clock.forward(seconds=61)
    send()
    assert len(sink.requests) == 1


def test_secrets_are_encrypted_and_rotated() -> None:
    added = add("https://example.com/alerts")
    assert added.secret
    before = db.session.execute(select(AlertReceiver.secret)).scalar_one()
    assert before
    assert added.secret not in before.encrypted
    db.session.rollback()
    assert key_rotation.rotate(OPERATOR).rotated == 2
    db.session.rollback()
    after = db.session.execute(select(AlertReceiver.secret)).scalar_one()
    assert after
    assert after.encrypted != before.encrypted
    assert after.reveal() == added.secret


def test_only_admins_manage_receivers() -> None:
    added = add("https://example.com/alerts")
    ops = Viewer(7, "ops@example.com", Role.OPS)
    for act in (
        lambda: receivers.add(ops, "https://example.com/", events=receivers.CHOICES),
        lambda: receivers.remove(ops, added.id),
        lambda: outbox.send_test(ops, added.id),
        lambda: receivers.list_receivers(ops),
    ):
        with pytest.raises(Forbidden):
            act()
    receivers.remove(OPERATOR, added.id)
    with pytest.raises(NotFound):
        receivers.remove(OPERATOR, added.id)
    with pytest.raises(NotFound):
        outbox.send_test(OPERATOR, added.id)


def test_deliveries_are_kept_for_30_days(sink: HttpSink, frozen_clock: FrozenClock) -> None:
    outbox.send_test(OPERATOR, add(sink.url).id)
    send()
    frozen_clock.forward(days=29)
    schedules.purge()
    assert len(states()) == 1
    frozen_clock.forward(days=2)
    schedules.purge()
    assert states() == []


def test_no_snapshot_is_held_while_a_receiver_is_waited_for(sink: HttpSink, monkeypatch: pytest.MonkeyPatch) -> None:
    held = list[bool]()

    def post(*_: Any) -> int:
        held.append(db.session().in_transaction() or transaction.is_open())
        return 200

    monkeypatch.setattr(http, "post", post)
    outbox.send_test(OPERATOR, add(sink.url).id)
    send()
    assert held == [False]


def test_a_payload_holds_ids_counts_and_sentences_and_no_name(sink: HttpSink) -> None:
    add(sink.url)
    break_token()
    check()
    lifecycle.record()
    send()
    [(body, _)] = sink.requests
    [payload] = sent(sink)
    assert set(payload) == {"type", "timestamp", "data"}
    assert payload["data"]["accountId"] == MAISON_LUNE
    assert b"maison" not in body


def a_paused_job() -> tuple[str, int]:
    """Start and pause a job of an account; return the job's ID and the account's."""
    people_wrote(LEA)
    account_id = db.session.execute(select(Account.id)).scalar_one()
    run_id = run_lifecycle.start(OPERATOR, account_id, kind=RunKind.BACKFILL)
    run_lifecycle.pause(OPERATOR, run_id)
    db.session.rollback()
    return run_id, account_id


def test_a_job_that_is_paused_and_ends_is_reported_once_each(sink: HttpSink, frozen_clock: FrozenClock) -> None:
    add(sink.url)
    frozen_clock.forward(seconds=1)
    beat()
    run_id, _ = a_paused_job()
    for _ in range(3):
        job_events.record()
        send()
    run_lifecycle.resume(OPERATOR, run_id)
    run_lifecycle.cancel(OPERATOR, run_id)
    for _ in range(3):
        job_events.record()
        send()
    assert [(each["type"], each["data"]["jobId"], each["data"]["state"]) for each in sent(sink)] == [
        ("job.paused", run_id, "paused"),
        ("job.finished", run_id, "canceled"),
    ]
    assert sent(sink)[1]["data"]["text"] == "Backfill profiles was canceled: 0 resolved, 0 failed."
    assert LEA not in str(sent(sink))


def test_a_receiver_is_not_sent_what_happened_before_it_was_added(sink: HttpSink, frozen_clock: FrozenClock) -> None:
    a_paused_job()
    frozen_clock.forward(seconds=1)
    add(sink.url)
    job_events.record()
    send()
    assert sink.requests == []


def test_a_job_that_resolves_no_contact_is_an_alert_until_a_later_one_ends_well(frozen_clock: FrozenClock) -> None:
    run_id, account_id = a_paused_job()
    ended = {"state": RunState.DONE, "finished_at": clock.now(), "total": 20, "failed": 20}
    with transaction.write() as tx:
        tx.execute(update(Run).values(**ended))
    check()
    [alert] = [each for each in listing.list_alerts(OPERATOR) if each.kind is AlertKind.JOB_FAILED]
    assert alert.text == f"Backfill profiles resolved none of 20 contacts (job {run_id})"
    frozen_clock.forward(seconds=1)
    beat()
    run_lifecycle.cancel(OPERATOR, run_lifecycle.start(OPERATOR, account_id, kind=RunKind.BACKFILL))
    check()
    assert listing.list_alerts(OPERATOR, "open") == []
