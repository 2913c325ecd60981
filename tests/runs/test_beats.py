"""Signs of life: a row a part, seldom written, never in the way of work."""

from flask import Flask

from app import settings
from app.factory import create_app
from app.runs import beats
from tests.bed.hands import Hands


def test_a_part_that_beats_is_known_by_its_newest_beat(app: Flask, hands: Hands) -> None:
    beats._beaten.clear()
    beats.beat("scheduler")
    assert beats.newest() == {"scheduler": hands.at}
    beats._beaten.clear()  # as ten seconds later, or in another process
    hands.forward(seconds=10)
    beats.beat("scheduler")
    assert beats.newest() == {"scheduler": hands.at}


def test_beats_within_ten_seconds_are_one(app: Flask, hands: Hands) -> None:
    beats._beaten.clear()
    beats.beat("scheduler")
    first = hands.at
    hands.forward(seconds=5)
    beats.beat("scheduler")
    assert beats.newest() == {"scheduler": first}


def test_a_beat_that_cannot_be_written_stops_nothing(tmp_path: object) -> None:
    beats._beaten.clear()
    with settings.using(database_url=f"sqlite:///{tmp_path}/no/such/folder/file.sqlite3"):
        nowhere = create_app()
    with nowhere.app_context():
        beats.beat("scheduler")
