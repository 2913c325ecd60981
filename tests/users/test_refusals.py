"""Refused attempts in the audit log, and their bounds."""

import sqlite3
from pathlib import Path

import pytest
from flask import Flask
from redis import Redis
from sqlalchemy.exc import OperationalError

from app import audit, settings
from app.audit import Action, AuditRow
from app.db import transaction
from app.users import rate_limit, refusals
from app.viewer import OPERATOR, STRANGER, Role, Viewer

NADIA = Viewer(user_id=3, name="nadia@example.com", role=Role.AGENT, account_ids=frozenset({1}))
ROUTE = "GET /jobs"


def entries() -> list[AuditRow]:
    found, _ = audit.page(OPERATOR, audit.AuditFilter(), limit=1_000)
    return list(found)


def refuse(viewer: Viewer, address: str, route: str = ROUTE) -> None:
    refusals.record(viewer, Action.ACCESS_REFUSED, address=address, route=route)


def test_the_same_refused_attempt_is_recorded_once_in_ten_minutes(app: Flask, redis: Redis) -> None:
    for _ in range(50):
        refuse(NADIA, "192.0.2.1")
    refuse(NADIA, "192.0.2.2")
    refuse(NADIA, "192.0.2.1", "GET /audit")
    [key] = [key for key in redis.scan_iter("nametag:rate:refused:*") if redis.get(key) == b"50"]
    redis.delete(key)  # as it expires
    refuse(NADIA, "192.0.2.1")
    found = [(each.actor, each.action, each.route, each.address) for each in entries()]
    assert found == [
        ("user 3", Action.ACCESS_REFUSED, ROUTE, "192.0.2.1"),
        ("user 3", Action.ACCESS_REFUSED, "GET /audit", "192.0.2.1"),
        ("user 3", Action.ACCESS_REFUSED, ROUTE, "192.0.2.2"),
        ("user 3", Action.ACCESS_REFUSED, ROUTE, "192.0.2.1"),
    ]


@pytest.mark.parametrize("redis_available", [True, False])
def test_a_flood_from_many_ip_addresses_adds_few_rows_and_hides_no_user(
    app: Flask, redis_available: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rate_limit.reset()
    elsewhere = {} if redis_available else {"redis_url": f"unix://{tmp_path}/nothing.sock?db=0"}
    with settings.using(**elsewhere):
        for number in range(refusals.ROWS + 80):
            refuse(STRANGER, f"2001:db8::{number}")
        refuse(NADIA, "192.0.2.1")
    assert len(entries()) == refusals.ROWS + 1
    assert entries()[0].actor == "user 3"
    assert caplog.text.count("refused attempts not recorded until the hour ends") == 1


def test_an_attempt_stays_refused_while_the_database_is_unavailable(
    app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def unavailable(*_: object) -> None:
        raise OperationalError("INSERT", {}, sqlite3.OperationalError("disk I/O error"))

    with monkeypatch.context() as broken:
        broken.setattr(transaction.Tx, "execute", unavailable)
        refuse(NADIA, "192.0.2.1")
    assert entries() == []
    assert "refused attempt not recorded" in caplog.text


def test_an_ip_address_of_any_length_is_recorded(app: Flask) -> None:
    refuse(STRANGER, "x\x00" * 40)
    assert entries()[0].address == ("x\ufffd" * 40)[:45]


def test_a_404_is_recorded_only_for_viewers_with_limited_account_access(app: Flask) -> None:
    everything = Viewer(user_id=4, name="ada@example.com", role=Role.ADMIN)
    for viewer in (everything, STRANGER, NADIA):
        refusals.record_response(viewer, 404, address="192.0.2.1", route="GET /inbox/<conversation_id>")
        refusals.record_response(viewer, 200, address="192.0.2.1", route=ROUTE)
    assert [(each.actor, each.action) for each in entries()] == [("user 3", Action.DATA_NOT_VISIBLE)]


@pytest.mark.parametrize(
    ("rule", "shown"),
    [
        ("/inbox/<int(max=9223372036854775807):conversation_id>/forget", "GET /inbox/<conversation_id>/forget"),
        ("/api/jobs/<id>", "GET /api/jobs/<id>"),
        ("/" + "x" * 300, "GET /" + "x" * 115),
    ],
)
def test_a_route_is_shown_without_converters(rule: str, shown: str) -> None:
    assert refusals.route_of("GET", rule) == shown
