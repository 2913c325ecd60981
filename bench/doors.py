"""What doors cost: the programs' list beside the part of the page that shows the same, and being signed in at all."""

from collections.abc import Iterator

from bench import load, measures
from bench.load import Request
from bench.measures import ACCOUNT, ROUNDS, Figure
from tests.bed.installation import Installation

EACH = 60


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
    """What an unchanged poll takes more than an open address: session, who asks, what they may, and the counter.

    The counter in Redis is no authorization, so that the figure is no smaller than what it stands for.
    """
    url, cookie = nametag.web.url, measures.sign_in(nametag.web.url)
    guarded, free = [], []
    for _ in range(ROUNDS):
        polling = (("Cookie", cookie), ("HX-Request", "true"), ("If-None-Match", measures.etag(url, cookie)))
        guarded += load.in_turn(url, Request("GET", f"/inbox/list?account={ACCOUNT}", headers=polling), times=EACH)
        free += load.in_turn(url, Request("GET", "/healthz"), times=EACH)
    assert ({answer.status for answer in guarded}, {answer.status for answer in free}) == ({304}, {200})
    more = load.times_of(guarded).p50 - load.times_of(free).p50
    yield Figure("unchanged poll, over an open address, p50", more, 1, "ms")
