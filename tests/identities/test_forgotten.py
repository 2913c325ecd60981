"""Tombstones: what is older than a deletion is covered by it, and by the newest one alone."""

from datetime import timedelta

from flask import Flask

from app import clock
from app.db import transaction
from app.identities import forgotten
from tests.cast import CAMILLE, LEA, an_account


def test_what_is_older_than_the_last_deletion_is_covered(app: Flask) -> None:
    account, now = an_account(), clock.now()
    assert forgotten.last() is None
    with transaction.write() as tx:
        forgotten.bury(tx, account.id, LEA, at=now - timedelta(days=1))
        forgotten.bury(tx, account.id, LEA, at=now)
        assert forgotten.is_(tx, account.id, LEA)
        assert not forgotten.is_(tx, account.id, CAMILLE)
        assert forgotten.covers(tx, account.id, LEA, now)
        assert not forgotten.covers(tx, account.id, LEA, now + timedelta(microseconds=1))
        assert not forgotten.covers(tx, account.id, None, now)
    assert forgotten.last() == now
