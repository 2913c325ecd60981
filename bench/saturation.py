"""`python -m bench.saturation HOUR_SECONDS SECONDS IG_ACCOUNT_ID …`: requests profiles as fast as the budget allows."""

import random
import sys

from app import clock
from app.calls import budget, gateway
from app.db.engine import db
from app.errors import RetryLater
from app.factory import create_app
from app.instagram.errors import GraphAPIError
from app.models.account import Account
from app.models.call import Purpose

HOUR_SECONDS = 3600
PURPOSES = (Purpose.LIVE, Purpose.ASKED, Purpose.BACKFILL, Purpose.REFRESH, Purpose.DAILY)
WAIT_SECONDS = 0.05
CONTACT = "1520000000000011"


def main(hour_seconds: int, seconds: int, ig_account_ids: list[str]) -> None:
    """Call until the time is over, also while the budget refuses; its hour lasts `hour_seconds` here."""
    budget.WINDOW_SECONDS += hour_seconds - HOUR_SECONDS
    with create_app().app_context():
        query = db.select(Account.id).where(Account.ig_account_id.in_(ig_account_ids))
        account_ids = list(db.session.scalars(query))
        ends_at = clock.monotonic() + seconds
        while clock.monotonic() < ends_at:
            try:
                gateway.profile(random.choice(account_ids), CONTACT, purpose=random.choice(PURPOSES))
            except RetryLater:
                clock.sleep(WAIT_SECONDS)
            except GraphAPIError:
                continue


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
