"""The cards of the accounts page."""

from datetime import timedelta

from flask import Flask

from app import clock, settings
from app.accounts import cards
from app.models.call import Purpose
from app.viewer import OPERATOR, Role, Viewer
from tests.calls.lookups import made
from tests.factories import ATELIER_NORD, MAISON_LUNE, an_account
from tests.web.test_gaps import a_gap


def test_a_card_shows_the_purposes_of_the_calls(app: Flask) -> None:
    account = an_account()
    made(account.id, 3, purpose=Purpose.BACKFILL)
    made(account.id, 1, purpose=Purpose.LIVE)
    made(account.id, 2, call="subscribed_apps", purpose=Purpose.CHECK)
    [card] = cards.list_cards(OPERATOR)
    assert card.budget is not None
    assert (card.budget.used, card.avatar.initials) == (4, "ML")
    assert card.spent == (("Backfill", 3), ("New messages", 1))


def test_without_redis_the_budget_is_not_known(app: Flask) -> None:
    an_account()
    with settings.using(redis_url="unix:///nowhere/redis.sock"):
        [card] = cards.list_cards(OPERATOR)
    assert (card.budget, card.spent) == (None, ())


def test_foreign_accounts_have_no_card(app: Flask) -> None:
    account = an_account()
    limited = Viewer(user_id=2, name="Oskar", role=Role.OPS, account_ids=frozenset({account.id + 1}))
    assert cards.list_cards(limited) == []


def test_each_card_shows_the_newest_three_gaps_of_its_account(app: Flask) -> None:
    for account in (an_account(), an_account(ATELIER_NORD)):
        for days in (2, 5, 1, 4):
            at = clock.now() - timedelta(days=days)
            a_gap(account, began_at=at, ended_at=at, found=days)
    for ig_account_id, card in zip((ATELIER_NORD, MAISON_LUNE), cards.list_cards(OPERATOR), strict=True):
        assert card.health.account.ig_account_id == ig_account_id
        assert [(gap.ig_account_id, gap.found) for gap in card.gaps] == [(ig_account_id, days) for days in (1, 2, 4)]
