"""Previous usernames, and how long they are shown."""

from datetime import timedelta

from flask import Flask
from sqlalchemy import func, select

from app import clock
from app.db import transaction
from app.db.engine import db
from app.erasure import contacts
from app.identities import observations, username_history
from app.identities.observations import ProfileObservation
from app.models.account import Account
from app.models.conversation import Conversation
from app.models.identity import Identity, Source, UsernameHistory
from app.viewer import OPERATOR
from tests.factories import LEA, RUI, an_account, people_wrote
from tests.support.frozen_clock import FrozenClock


def seen(account: Account, username: str | None, name: str | None = None) -> None:
    with transaction.write() as tx:
        observations.record(tx, account.id, ProfileObservation(LEA, username, name, None, Source.PROFILE, clock.now()))


def identity_id(ig_participant_id: str) -> int:
    return db.session.scalars(select(Identity.id).where(Identity.ig_participant_id == ig_participant_id)).one()


def test_a_rename_is_kept_with_its_time_and_source(app: Flask, frozen_clock: FrozenClock) -> None:
    account = an_account()
    seen(account, "lea.moreau")
    frozen_clock.forward(hours=1)
    seen(account, "lea.m")
    frozen_clock.forward(hours=1)
    seen(account, "lea.paris")
    kept = [
        (each.old_username, each.new_username, each.source)
        for each in username_history.username_changes(identity_id(LEA))
    ]
    assert kept == [("lea.m", "lea.paris", Source.PROFILE), ("lea.moreau", "lea.m", Source.PROFILE)]
    assert username_history.username_changes(identity_id(LEA))[0].at == frozen_clock.at
    assert username_history.previous_username(identity_id(LEA)) == "lea.m"


def test_a_username_that_another_contact_takes_over_does_not_merge_them(app: Flask, frozen_clock: FrozenClock) -> None:
    account = an_account()
    people_wrote(LEA, RUI)
    seen(account, "lea.moreau")
    frozen_clock.forward(hours=1)
    seen(account, "lea.paris")
    with transaction.write() as tx:
        observations.record(
            tx, account.id, ProfileObservation(RUI, "lea.moreau", None, None, Source.PROFILE, clock.now())
        )
    named = select(Identity.ig_participant_id, Identity.username)
    assert dict(db.session.execute(named).all()) == {LEA: "lea.paris", RUI: "lea.moreau"}
    assert username_history.previous_username(identity_id(LEA)) == "lea.moreau"
    assert username_history.username_changes(identity_id(RUI)) == []


def test_a_first_name_and_a_missing_one_are_no_rename(app: Flask) -> None:
    account = an_account()
    seen(account, "lea.moreau")
    seen(account, None, "Léa")
    seen(account, "lea.moreau")
    assert username_history.username_changes(identity_id(LEA)) == []
    assert username_history.previous_username(identity_id(LEA)) is None


def test_a_previous_username_is_shown_for_thirty_days(app: Flask, frozen_clock: FrozenClock) -> None:
    account = an_account()
    seen(account, "lea.moreau")
    seen(account, "lea.paris")
    frozen_clock.at += timedelta(days=30)
    assert username_history.previous_username(identity_id(LEA)) is None
    assert len(username_history.username_changes(identity_id(LEA))) == 1


def test_who_is_forgotten_had_no_other_name_either(app: Flask) -> None:
    account = an_account()
    people_wrote(LEA)
    seen(account, "lea.moreau")
    seen(account, "lea.paris")
    contacts.delete_contact(OPERATOR, db.session.scalars(select(Conversation.id)).one())
    assert db.session.execute(select(func.count()).select_from(UsernameHistory)).scalar_one() == 0
