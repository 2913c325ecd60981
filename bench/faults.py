"""Every fault of Meta on one of two accounts: no name is lost, workers stay free, the other account continues."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from redis import Redis
from sqlalchemy import delete, select, update

from app import clock
from app.db import transaction
from app.db.engine import db
from app.identities import observations
from app.identities.observations import FRESH, ProfileObservation
from app.models.account import Account, AccountState
from app.models.call import ApiCall, CallRefusal, Purpose
from app.models.identity import Identity, Source
from bench import setup
from bench.measures import ACCOUNT, Figure
from tests.support.installation import Installation
from tests.support.waiting import until

OTHER = "17841400000000202"
PEOPLE, SECONDS = 12, 15
WORKERS = 3  # two, and the scheduler: the most calls that are in progress when the first is refused
WHOLE_APP = frozenset({"3", "4", "200"})
RATES = frozenset({"4", "429", "613", "80002", "80006"})
MODES = (
    *("reset", "hang", "drip", "500", "2", "html", "malformed", "empty", "array", "types", "truncated", "huge"),
    *("gzip-bomb", "redirect", "null", "swapped", "headers-malformed", "230", "9010", "100-33", "10", "200", "190"),
    *sorted(RATES),
)


@dataclass
class _Found:
    longest_ms: int = 0
    wrong: int = 0
    after_invalid_token: int = 0
    after_rate_limit: int = 0
    other_unserved: int = 0


def of_every_kind() -> Iterator[Figure]:
    """Cause each fault for 15 s in every call of one account, whose contacts are due all the time."""
    with setup.installed("--people", "400", "--latency-ms", "20", calls_per_hour=100_000) as (nametag, redis):
        nametag.start_worker("resolve-participants")
        accounts = {name: _account_id(name) for name in (ACCOUNT, OTHER)}
        names_before = {account_id: _known(nametag, name, account_id) for name, account_id in accounts.items()}
        found, client = _Found(), Redis.from_url(redis.address)
        for mode in MODES:
            _reset_faults(nametag, client)
            since = clock.now()  # the first call may be the only one: a known error ends the lookups of the account
            nametag.sandbox.post("faults", mode=mode, account=ACCOUNT)
            for _ in range(SECONDS):
                _due(accounts.values())
                time.sleep(1)
            until(lambda: _is_idle(client), "no lookup is in progress", 30)
            _record(found, mode, accounts, names_before, [row for row in _calls() if row.at >= since])
        yield Figure(f"longest call under {len(MODES)} faults", found.longest_ms / 1000, 2.5, "s")
        yield Figure("names lost or changed", found.wrong, 0, "")
        yield Figure("most calls after the first invalid token", found.after_invalid_token, 2, "")
        yield Figure("most calls after the first rate limit", found.after_rate_limit, WORKERS - 1, "")
        yield Figure("faults of one account that stopped the other", found.other_unserved, 0, "")


def _record(
    found: _Found, mode: str, accounts: dict[str, int], names_before: dict[int, dict[str, str]], calls: Sequence[Any]
) -> None:
    ours = [row for row in calls if row.account_id == accounts[ACCOUNT]]
    assert ours, f"no lookup under {mode}"
    found.longest_ms = max(found.longest_ms, *(row.took_ms or 0 for row in ours))
    found.wrong += sum(names != _names(account_id) for account_id, names in names_before.items())
    refused = next((place for place, row in enumerate(ours) if row.code or row.http_status == 429), len(ours))
    if mode == "190":
        found.after_invalid_token = len(ours) - refused - 1
    if mode in RATES:
        found.after_rate_limit = max(found.after_rate_limit, len(ours) - refused - 1)
    theirs = [row for row in calls if row.account_id == accounts[OTHER] and row.http_status == 200]
    found.other_unserved += not theirs and mode not in WHOLE_APP


def _account_id(ig_account_id: str) -> int:
    return int(db.session.execute(select(Account.id).where(Account.ig_account_id == ig_account_id)).scalar_one())


def _known(nametag: Installation, ig_account_id: str, account_id: int) -> dict[str, str]:
    """Store usernames of an account's contacts as of eight days ago, and return them."""
    people = setup.nameable(nametag.sandbox, ig_account_id, PEOPLE)
    names = {each["id"]: each["username"] for each in nametag.sandbox.get(f"people?account={ig_account_id}")}
    long_ago = clock.now() - FRESH - timedelta(days=1)
    with transaction.write() as tx:
        for who in people:
            observations.record(
                tx, account_id, ProfileObservation(who, names[who], None, None, Source.PROFILE, long_ago)
            )
    return _names(account_id)


def _reset_faults(nametag: Installation, redis: Redis) -> None:
    nametag.sandbox.request("DELETE", "faults")
    with transaction.write() as tx:
        tx.execute(update(Account).values(state=AccountState.CONNECTED, state_reason=None))
        tx.execute(delete(CallRefusal))
    for key in redis.scan_iter("nametag:stop:*"):
        redis.delete(key)


def _due(account_ids: Sequence[int] | Any) -> None:
    stale = {"last_success_at": clock.now() - FRESH - timedelta(days=1), "failure_count": 0, "last_error": None}
    with transaction.write() as tx:
        people = update(Identity).where(Identity.account_id.in_(list(account_ids)), Identity.claimed_until.is_(None))
        tx.execute(people.values(next_try_at=clock.now(), next_purpose=Purpose.LIVE, **stale))


def _is_idle(redis: Redis) -> bool:
    # A task releases its contacts before it stores what the last response means for the account: it must have ended.
    db.session.rollback()
    claimed = db.session.scalars(select(Identity.id).where(Identity.claimed_until > clock.now())).first()
    return claimed is None and not redis.keys("rq:wip:*")


def _calls() -> list[ApiCall]:
    db.session.rollback()
    return list(db.session.scalars(select(ApiCall).order_by(ApiCall.id)))


def _names(account_id: int) -> dict[str, str]:
    db.session.rollback()
    named = select(Identity.ig_participant_id, Identity.username).where(Identity.account_id == account_id)
    return {row.ig_participant_id: row.username or "" for row in db.session.execute(named)}
