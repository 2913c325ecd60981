"""The cost of authorization: the API's list beside the page fragment with the same rows, and signed-in requests."""

from collections.abc import Iterator

from bench import load, measures
from bench.load import Request
from bench.measures import ACCOUNT, ROUNDS, Figure
from tests.support.installation import Installation

EACH = 60
SEE_OTHER = 303


def speed(nametag: Installation) -> Iterator[Figure]:
    """Compare the list of conversations as JSON and as a page fragment, in turn."""
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
    yield Figure("API list's rate relative to the page fragment's", rate, 0.8, "x", least=True)


def authorization(nametag: Installation) -> Iterator[Figure]:
    """Compare a route that only redirects, signed in and not signed in, in turn.

    Signed in, the request reads the session, the user and the account access, and nothing else.
    """
    url, cookie = nametag.web.url, ("Cookie", measures.sign_in(nametag.web.url))
    known, unauthenticated = [], []
    for _ in range(ROUNDS):
        known += load.in_turn(url, Request("GET", "/", headers=(cookie,)), times=EACH)
        unauthenticated += load.in_turn(url, Request("GET", "/"), times=EACH)
    assert {answer.status for answer in (*known, *unauthenticated)} == {SEE_OTHER}
    more = load.times_of(known).p50 - load.times_of(unauthenticated).p50
    yield Figure("time that authorization adds to a request, p50", more, 1, "ms")
