"""The list of identities: states, reasons, search, pages, and access."""

from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from app import clock, search_index
from app.db import transaction
from app.db.engine import is_sqlite
from app.errors import Invalid, NotFound
from app.identities import contact_search, listing, observations
from app.identities.failure_policy import STOP_AFTER, LookupFailure
from app.identities.listing import IdentityFilter, NameState
from app.identities.observations import FRESH, ProfileObservation
from app.identities.reasons import NEVER_TRIED, STOPPED
from app.instagram.errors import Reason, Scope
from app.models.account import Account
from app.models.identity import Identity, Source
from app.viewer import OPERATOR, Role, Viewer
from tests.factories import ATELIER_NORD, CAMILLE, GHOST, LEA, RUI, SHY, an_account, people_wrote
from tests.support.plans import plan_of, plans_of, reads_a_whole_table, scans

ELSEWHERE = Viewer(user_id=2, name="Oskar", role=Role.AGENT, account_ids=frozenset({999}))
NO_CONSENT = LookupFailure(Reason.CONSENT, Scope.CONTACT, "230", "User consent is required")
GONE = LookupFailure(Reason.NOT_VISIBLE, Scope.CONTACT, "9010", "No matching Instagram user")


@pytest.fixture
def account(app: Flask) -> Account:
    """Léa is known, Rui's name is stale, Camille has only a name, Shy did not agree, Ghost's tries have stopped."""
    account = an_account()
    for each in (LEA, RUI, CAMILLE, SHY, GHOST):
        people_wrote(each)
    now = clock.now()
    with transaction.write() as tx:
        observations.record(
            tx, account.id, ProfileObservation(LEA, "lea.moreau", "Léa Moreau", None, Source.PROFILE, now)
        )
        old = now - FRESH - timedelta(hours=1)
        observations.record(tx, account.id, ProfileObservation(RUI, "rui.costa", None, None, Source.CONVERSATIONS, old))
        observations.record(
            tx, account.id, ProfileObservation(CAMILLE, None, "Camille Roux", None, Source.PROFILE, now)
        )
        observations.record_failure(tx, account.id, SHY, NO_CONSENT, at=now, raw=None)
        for _ in range(STOP_AFTER):
            observations.record_failure(tx, account.id, GHOST, GONE, at=now, raw=None)
    return account


def listed(**options: object) -> list[str]:
    want = listing.parse_filter(**options)  # type: ignore[arg-type]  # as each test chooses
    return [each.ig_participant_id for each in listing.page(OPERATOR, want).rows]


def test_contacts_are_listed_newest_first(account: Account) -> None:
    assert listed() == [GHOST, SHY, CAMILLE, RUI, LEA]


def test_states_part_everyone(account: Account) -> None:
    assert listed(state="known") == [CAMILLE, LEA]
    assert listed(state="stale") == [RUI]
    assert listed(state="unknown") == [GHOST, SHY]
    assert listing.counts(OPERATOR) == {NameState.KNOWN: 2, NameState.STALE: 1, NameState.UNKNOWN: 2}


@pytest.mark.parametrize("error", [None, Reason.NOT_VISIBLE])
@pytest.mark.parametrize("age", [None, timedelta(), FRESH + timedelta(hours=1)])
@pytest.mark.parametrize("username", [None, "mia.b"])
def test_the_filter_and_the_row_agree_on_the_state(
    account: Account, username: str | None, age: timedelta | None, error: Reason | None
) -> None:
    with transaction.write() as tx:
        row = tx.session.scalars(select(Identity).where(Identity.ig_participant_id == LEA)).one()
        row.username, row.name, row.last_error = username, None, error
        row.last_success_at = None if age is None else clock.now() - age
    states = [state for state in NameState if LEA in listed(state=state)]
    [shown] = [each for each in listing.page(OPERATOR, listing.parse_filter()).rows if each.ig_participant_id == LEA]
    assert states == [shown.state]


def test_the_list_filters_by_reason(account: Account) -> None:
    people_wrote("1520000000000999")
    assert (listed(reason="consent"), listed(reason="stopped")) == ([SHY], [GHOST])
    assert listed(reason="never_tried") == ["1520000000000999"]


def test_an_unknown_contact_has_a_reason(account: Account) -> None:
    rows = {each.ig_participant_id: each for each in listing.page(OPERATOR, listing.parse_filter()).rows}
    assert (rows[SHY].reason, rows[SHY].failure_count) == ("consent", 1)
    assert rows[GHOST].sentence == "5 lookups in a row failed, so automatic retries have stopped"
    assert (rows[LEA].reason, rows[LEA].sentence) == (None, None)
    assert (rows[RUI].source, rows[CAMILLE].source) == (Source.CONVERSATIONS, Source.PROFILE)


@pytest.mark.parametrize(
    ("q", "found"),
    [("MOREAU", [LEA]), ("@rui", [RUI]), ("roux", [CAMILLE]), (GHOST[-6:], [GHOST]), ("%", []), ("o_", [])],
)
def test_a_search_looks_at_names_and_ids_and_nothing_is_a_wildcard(account: Account, q: str, found: list[str]) -> None:
    assert listed(q=q) == found


@pytest.mark.parametrize("q", ["léa", "lea mor", "moreau lea", LEA, "lea_", "@LEA.moreau"])
def test_a_search_finds_words_in_any_order_without_accents(account: Account, q: str) -> None:
    assert listed(q=q) == ([] if q == "lea_" else [LEA])


def test_a_search_finds_a_contact_by_an_earlier_username(account: Account) -> None:
    with transaction.write() as tx:
        seen = ProfileObservation(RUI, "rui.now", None, None, Source.PROFILE, clock.now())
        observations.record(tx, account.id, seen)
    assert listed(q="rui.costa") == listed(q="rui.now") == [RUI]


def test_a_search_looks_at_the_newest_matches_and_says_so(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    every = listing.page(OPERATOR, listing.parse_filter(q="152"))
    assert ([each.ig_participant_id for each in every.rows], every.limited) == ([GHOST, SHY, CAMILLE, LEA], False)
    monkeypatch.setattr(search_index, "HITS", 2)
    monkeypatch.setattr(contact_search, "MOST", 2)
    newest = listing.page(OPERATOR, listing.parse_filter(q="152"))
    assert ([each.ig_participant_id for each in newest.rows], newest.limited) == ([GHOST, SHY], True)
    assert listed(q="152", state="known") == []


@pytest.mark.parametrize("q", ["moreau", "1520", "lea.moreau", "zzz", "@rui"])
@pytest.mark.parametrize("state", [None, *NameState])
@pytest.mark.parametrize("of_account", [True, False])
def test_a_search_reads_its_page_from_indexes(
    account: Account, q: str, state: NameState | None, of_account: bool
) -> None:
    want = IdentityFilter(account_id=account.id if of_account else None, state=state, q=q)
    plans = plans_of(lambda: listing.page(OPERATOR, want), about="identities")
    assert len(plans) >= 2
    assert not [plan for plan in plans if scans(plan, "identities")]


def test_pages_follow_each_other_without_gaps(account: Account) -> None:
    met, after = [], None
    for _ in range(3):
        page = listing.page(OPERATOR, listing.parse_filter(limit=2, after=after))
        met += [each.ig_participant_id for each in page.rows]
        after = page.cursor
    assert (met, after) == ([GHOST, SHY, CAMILLE, RUI, LEA], None)


STATES = (None, *NameState)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("reason", [None, Reason.NOT_VISIBLE, NEVER_TRIED, STOPPED])
def test_the_pages_of_each_filter_hold_each_contact_of_every_account_once(
    account: Account, state: NameState | None, reason: str | None
) -> None:
    second, now = an_account(ATELIER_NORD), clock.now()
    with transaction.write() as tx:
        for number in range(24):
            tx.session.add(
                Identity(
                    account_id=second.id,
                    ig_participant_id=f"15300000000000{number:02d}",
                    username=None if number % 2 else f"guest{number}",
                    first_seen_at=now,
                    last_error=Reason.NOT_VISIBLE if number % 3 == 0 else None,
                    last_failure_at=now if number % 3 == 0 else None,
                    last_success_at=None if number % 4 == 0 else now - timedelta(days=number % 5 * 3),
                    failure_count=STOP_AFTER if number % 6 == 0 else 0,
                )
            )
    want = IdentityFilter(state=state, reason=reason, limit=3)
    expected = {each.id for each in listing.iter_identities(OPERATOR, want)}
    met, after = [], None
    while True:
        page = listing.page(OPERATOR, replace(want, after=after))
        met += [each.id for each in page.rows]
        after = page.after
        if after is None:
            break
    assert len(met) == len(set(met))
    assert set(met) == expected


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(
    ("reason", "index"),
    [(None, None), (Reason.NOT_VISIBLE, "failed"), (NEVER_TRIED, "untried"), (STOPPED, "stopped")],
)
def test_each_filter_reads_its_page_from_an_index(
    account: Account, state: NameState | None, reason: str | None, index: str | None
) -> None:
    if reason is not None and state is NameState.KNOWN:
        pytest.skip("a known name has no reason: nothing is read")
    want = IdentityFilter(account_id=account.id, state=state, reason=reason)
    plan = plan_of(listing.select_first(OPERATOR, want, 51))
    assert not reads_a_whole_table(plan)
    if is_sqlite():  # PostgreSQL chooses by the size of the tables
        of_state = {None: "ix_identities_newest", NameState.UNKNOWN: "list_identities_unknown"}
        assert (f"list_identities_{index}" if index else of_state.get(state, "list_identities_fresh")) in plan


def test_every_one_comes_once_however_many(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "CHUNK_ROWS", 2)
    assert [each.ig_participant_id for each in listing.iter_identities(OPERATOR, listing.parse_filter())] == listed()[
        ::-1
    ]


def test_what_a_viewer_may_not_see_is_not_there(account: Account) -> None:
    [first, *_] = listing.page(OPERATOR, listing.parse_filter()).rows
    assert listing.page(ELSEWHERE, listing.parse_filter()).rows == ()
    assert listing.get_identity(OPERATOR, first.id) == first
    with pytest.raises(NotFound):
        listing.get_identity(ELSEWHERE, first.id)


@pytest.mark.parametrize("wrong", [{"state": "x"}, {"reason": "x"}, {"q": "x" * 201}, {"limit": 0}, {"limit": 201}])
def test_wrong_query_parameters_are_invalid(wrong: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        listing.parse_filter(**wrong)  # type: ignore[arg-type]  # that is the point
