"""The cards of the accounts page: health, picture, and the purposes of the last hour's API calls."""

from collections.abc import Sequence
from dataclasses import dataclass

from app import gaps
from app.accounts import health
from app.accounts.health import Health
from app.calls import budget
from app.calls.budget import Forecast
from app.gaps import ListedGap
from app.identities import account_pictures
from app.identities.display import Avatar
from app.viewer import Viewer

GAPS = 3  # on a card


@dataclass(frozen=True, slots=True)
class AccountCard:
    """One account. `budget` is None while Redis is unavailable; `spent` are (purpose, calls), most first.

    `gaps` are the newest ones, newest first.
    """

    health: Health
    avatar: Avatar
    budget: Forecast | None
    spent: tuple[tuple[str, int], ...]
    gaps: tuple[ListedGap, ...]


def list_cards(viewer: Viewer) -> list[AccountCard]:
    """Return a card for every account the viewer may see. Makes no API call."""
    found = health.list_health(viewer)
    ids = [each.account.ig_account_id for each in found]
    versions, newest = account_pictures.versions(ids), gaps.newest_by_account(viewer, GAPS)
    return [_card(each, versions.get(id_), newest.get(id_, [])) for id_, each in zip(ids, found, strict=True)]


def _card(found: Health, picture_version: str | None, newest: Sequence[ListedGap]) -> AccountCard:
    account = found.account
    left = budget.forecast(account.id)
    return AccountCard(
        found,
        account_pictures.avatar(account.ig_account_id, account.name, picture_version),
        left,
        left.spenders if left else (),
        tuple(newest),
    )
