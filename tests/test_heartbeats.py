"""Heartbeats: one row per process, written at most every ten seconds; a failed write stops nothing."""

from pathlib import Path

from flask import Flask

from app import heartbeats, settings
from app.factory import create_app
from tests.support.frozen_clock import FrozenClock


def test_the_newest_heartbeat_of_a_part_counts(app: Flask, frozen_clock: FrozenClock) -> None:
    heartbeats.reset()
    heartbeats.beat("scheduler")
    assert heartbeats.newest() == {"scheduler": frozen_clock.at}
    heartbeats.reset()  # as in another process
    frozen_clock.forward(seconds=10)
    heartbeats.beat("scheduler")
    assert heartbeats.newest() == {"scheduler": frozen_clock.at}


def test_heartbeats_within_ten_seconds_are_written_once(app: Flask, frozen_clock: FrozenClock) -> None:
    heartbeats.reset()
    heartbeats.beat("scheduler")
    first = frozen_clock.at
    frozen_clock.forward(seconds=5)
    heartbeats.beat("scheduler")
    assert heartbeats.newest() == {"scheduler": first}


def test_a_heartbeat_that_cannot_be_written_raises_nothing(tmp_path: Path) -> None:
    heartbeats.reset()
    with settings.using(database_url=f"sqlite:///{tmp_path}/no/such/folder/file.sqlite3"):
        unavailable = create_app()
    with unavailable.app_context():
        heartbeats.beat("scheduler")
