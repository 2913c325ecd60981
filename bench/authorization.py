"""What doors cost: the programs' list beside the part of the page that shows the same, and being signed in at all."""

from collections.abc import Iterator

from bench import load, measures
from bench.load import Request
from bench.measures import ACCOUNT, ROUNDS, Figure
from tests.support.installation import Installation

EACH = 60
SEE_OTHER = 303


def speed(nametag: Installation) -> Iterator[Figure]:
    """The list of conversations as JSON and as a part of the page, in turn."""
    secret = nametag.command("token", "create", "bench", "--scopes", "read").strip()
    bearer, cookie = ("Authorization", f"Bearer {secret}"), ("Cookie", measures.sign_in(nametag.web.url))
    part = Request("GET", f"/inbox/list?account={ACCOUNT}", headers=(cookie, ("HX-Request", "true")))
    listed = Request("GET", f"/messaging/conversations?accountId={ACCOUNT}&limit=50", headers=(bearer,))
    parts, lists = [], []
    for _ in range(ROUNDS):
        parts += load.in_turn(nametag.web.url, part, times=EACH)
        lists += load.in_turn(nametag.web.url, listed, times=EACH)
    assert {answer.status for answer in (*parts, *lists)} == {200}
    rate = sum(each.seconds for each in parts) / sum(each.seconds for each in lists)
    yield Figure("API list's rate, of the page fragment's", rate, 0.8, "x", least=True)


def authorization(nametag: Installation) -> Iterator[Figure]:
    """What knowing who asks costs: an address that only leads elsewhere, signed in and as a stranger, in turn.

    Signed in, that is the session, the row of who asks and what they may; nothing else is read for the answer.
    """
    url, cookie = nametag.web.url, ("Cookie", measures.sign_in(nametag.web.url))
    known, strangers = [], []
    for _ in range(ROUNDS):
        known += load.in_turn(url, Request("GET", "/", headers=(cookie,)), times=EACH)
        strangers += load.in_turn(url, Request("GET", "/"), times=EACH)
    assert {answer.status for answer in (*known, *strangers)} == {SEE_OTHER}
    more = load.times_of(known).p50 - load.times_of(strangers).p50
    yield Figure("what authorization adds to an address, p50", more, 1, "ms")
