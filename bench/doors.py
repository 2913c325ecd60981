"""What the door for programs costs: its list of conversations beside the part of the page that shows the same."""

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
