"""The accounts' own pictures: fetched once a week, shown in the switcher and on Accounts, deleted with the account."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update

from app import clock, settings
from app.db import transaction
from app.db.engine import db
from app.errors import NotFound
from app.identities import account_pictures, avatars, picture_fetch
from app.models.account import Account, AccountPicture, AccountState
from app.viewer import OPERATOR, Role, Viewer
from tests.factories import (
    ATELIER_NORD,
    LEA,
    MAISON_LUNE,
    a_delivery,
    a_sandbox_account,
    an_account,
    an_echo_event,
    people_wrote,
)
from tests.support.frozen_clock import FrozenClock
from tests.support.processes import Sandbox
from tests.support.webhooks import receive_webhook
from tests.web.browsing import signed_in

ELSEWHERE = Viewer(user_id=2, name="Oskar", role=Role.AGENT, account_ids=frozenset({999}))


def fetched(account: Account, meta: Sandbox) -> bool:
    with settings.using(media_hosts=(meta.url.removeprefix("http://"),)):
        return picture_fetch.fetch_account_picture(account.id)


def version() -> str | None:
    db.session.rollback()
    return db.session.scalars(select(AccountPicture.version)).one()


@pytest.mark.parametrize("ig_account_id", [MAISON_LUNE, ATELIER_NORD])
def test_the_picture_of_an_account_is_shown_wherever_the_account_is(
    app: Flask, meta: Sandbox, ig_account_id: str
) -> None:
    account = a_sandbox_account(ig_account_id)
    assert account_pictures.accounts_due() == [account.id]
    assert fetched(account, meta)
    assert account_pictures.accounts_due() == []
    admin, source = signed_in(app, Role.ADMIN), f"/avatars/{ig_account_id}/{ig_account_id}?v={version()}"
    for address in ("/inbox", "/accounts", "/jobs"):
        assert f'src="{source}"' in admin.get(address).text, address
    answer = admin.get(source)
    assert answer.content_type == "image/webp"
    assert answer.data == avatars.get_picture(OPERATOR, ig_account_id, ig_account_id).content


def test_the_account_has_its_picture_next_to_its_messages(app: Flask, meta: Sandbox) -> None:
    account = a_sandbox_account()
    people_wrote(LEA)
    fetched(account, meta)
    receive_webhook(a_delivery(an_echo_event(LEA)))
    talk = signed_in(app).get("/inbox/1").text.partition('data-side="ours"')[2]
    assert f'src="/avatars/{MAISON_LUNE}/{MAISON_LUNE}?v={version()}"' in talk


def test_an_account_without_a_picture_has_initials(app: Flask, meta: Sandbox) -> None:
    account = a_sandbox_account()
    with settings.using(media_hosts=("elsewhere.example",)):
        assert not picture_fetch.fetch_account_picture(account.id)
    page = signed_in(app, Role.ADMIN).get("/accounts").text
    assert "/avatars/" not in page
    assert '<text x="18" y="18">ML</text>' in page


def test_a_picture_is_fetched_weekly_and_daily_after_a_failure(
    app: Flask, meta: Sandbox, frozen_clock: FrozenClock
) -> None:
    account = a_sandbox_account()
    with settings.using(media_hosts=("elsewhere.example",)):
        picture_fetch.fetch_account_picture(account.id)
    assert account_pictures.accounts_due() == []
    frozen_clock.forward(hours=25)
    assert account_pictures.accounts_due() == [account.id]
    assert fetched(account, meta)
    frozen_clock.forward(days=6)
    assert account_pictures.accounts_due() == []
    frozen_clock.forward(days=2)
    assert account_pictures.accounts_due() == [account.id]
    before = version()
    with settings.using(media_hosts=("elsewhere.example",)):
        assert not picture_fetch.fetch_account_picture(account.id)
    assert version() == before  # a failed fetch keeps the earlier picture


def test_meta_is_not_asked_for_a_disconnected_account(app: Flask) -> None:
    an_account(state=AccountState.RECONNECT)
    an_account(ATELIER_NORD, token=None)
    assert account_pictures.accounts_due() == []


def test_who_may_not_see_the_account_does_not_see_its_picture(app: Flask) -> None:
    account = an_account()
    with transaction.write() as tx:
        stored = {"content": b"RIFF", "version": "abc", "tried_at": clock.now() - timedelta(days=1)}
        tx.execute(tx.insert(AccountPicture).values(account_id=account.id, **stored))
    assert avatars.get_picture(OPERATOR, MAISON_LUNE, MAISON_LUNE).content == b"RIFF"
    with pytest.raises(NotFound):
        avatars.get_picture(ELSEWHERE, MAISON_LUNE, MAISON_LUNE)
    with transaction.write() as tx:
        tx.execute(update(AccountPicture).values(content=None, version=None))
    with pytest.raises(NotFound):
        avatars.get_picture(OPERATOR, MAISON_LUNE, MAISON_LUNE)
