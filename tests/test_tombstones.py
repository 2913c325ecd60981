"""Tombstones cover messages that are older than the last deletion of their contact."""

from datetime import timedelta

from flask import Flask

from app import clock, tombstones
from app.db import transaction
from tests.factories import CAMILLE, LEA, an_account


def test_messages_before_the_last_deletion_are_covered(app: Flask) -> None:
    account, now = an_account(), clock.now()
    assert tombstones.last_deleted_at() is None
    with transaction.write() as tx:
        tombstones.add(tx, account.id, LEA, at=now - timedelta(days=1))
        tombstones.add(tx, account.id, LEA, at=now)
        assert tombstones.exists(tx, account.id, LEA)
        assert not tombstones.exists(tx, account.id, CAMILLE)
        assert tombstones.covers(tx, account.id, LEA, now)
        assert not tombstones.covers(tx, account.id, LEA, now + timedelta(microseconds=1))
        assert not tombstones.covers(tx, account.id, None, now)
    assert tombstones.last_deleted_at() == now
