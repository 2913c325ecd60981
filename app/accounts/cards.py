"""The cards of the accounts page: health, picture, and the purposes of the last hour's API calls."""

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
    versions = account_pictures.versions([each.account.ig_account_id for each in found])
    return [_card(viewer, each, versions.get(each.account.ig_account_id)) for each in found]


def _card(viewer: Viewer, found: Health, picture_version: str | None) -> AccountCard:
    account = found.account
    left = budget.forecast(account.id)
    return AccountCard(
        found,
        account_pictures.avatar(account.ig_account_id, account.username or account.ig_account_id, picture_version),
        left,
        left.spenders if left else (),
        tuple(gaps.list_gaps(viewer, account.id, most=GAPS)),
    )
