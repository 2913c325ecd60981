"""Which addresses pictures may come from: a zoo of those that must not (reliability.md S35, M17)."""

import pytest

from app.instagram import addresses
from app.instagram.addresses import RefusedAddress, Target

HOSTS = ("fbcdn.net", "cdninstagram.com", "127.0.0.1:5061")
PUBLIC = "157.240.0.1"


def public(_host: str, _port: int) -> list[str]:
    return [PUBLIC]


def test_a_picture_of_metas_is_fetched_from_the_address_that_was_checked() -> None:
    found = addresses.target("https://scontent.cdninstagram.com/v/a.jpg?oe=6924&x=1", HOSTS, resolve=public)
    assert found == Target(True, "scontent.cdninstagram.com", PUBLIC, 443, "/v/a.jpg?oe=6924&x=1")
    assert addresses.target("https://fbcdn.net:443", HOSTS, resolve=public).path == "/"


def test_plain_http_goes_to_an_exact_address_alone() -> None:
    assert addresses.target("http://127.0.0.1:5061/a.png", HOSTS) == Target(
        False, "127.0.0.1", "127.0.0.1", 5061, "/a.png"
    )
    for other in ("http://127.0.0.1:5062/a.png", "http://127.0.0.1/a.png", "https://127.0.0.1:5061/a.png"):
        with pytest.raises(RefusedAddress):
            addresses.target(other, HOSTS, resolve=public)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a.jpg",
        "//scontent.fbcdn.net/a.jpg",
        "http://scontent.fbcdn.net/a.jpg",
        "ftp://scontent.fbcdn.net/a.jpg",
        "file:///etc/passwd",
        "gopher://scontent.fbcdn.net/",
        "data:image/png;base64,AAAA",
        "javascript:alert(1)",
        "https:scontent.fbcdn.net/a.jpg",
        "https:///scontent.fbcdn.net/a.jpg",
        "https://evil.example/a.jpg",
        "https://scontent.fbcdn.net.evil.example/a.jpg",
        "https://fbcdn.net.evil/a.jpg",
        "https://evilfbcdn.net/a.jpg",
        "https://scontent.fbcdn.net./a.jpg",
        "https://scontent.fbcdn.net:22/a.jpg",
        "https://scontent.fbcdn.net:80/a.jpg",
        "https://scontent.fbcdn.net:x/a.jpg",
        "https://scontent.fbcdn.net:99999/a.jpg",
        "https://user@scontent.fbcdn.net/a.jpg",
        "https://scontent.fbcdn.net@evil.example/a.jpg",
        "https://evil.example#scontent.fbcdn.net",
        "https://evil.example/?scontent.fbcdn.net",
        "https://evil.example\\@scontent.fbcdn.net/a.jpg",
        "https://scontent.fbcdn.net\\.evil.example/a.jpg",
        "https://scontent.fbcdn.net /a.jpg",
        "https://scontent.fbcdn.net\t/a.jpg",
        "https://scontent.fbcdn.net\n/a.jpg",
        "https://scontent.fbcdn.net\x00/a.jpg",
        "https://scontent.fbcdn.n\u0435t/a.jpg",
        "https://scontent。fbcdn。net/a.jpg",
        "https://①②⑦.0.0.1/a.jpg",
        "https://%6c%6fcalhost/a.jpg",
        "https://2130706433/a.jpg",
        "https://0x7f.1/a.jpg",
        "https://0177.0.0.1/a.jpg",
        "https://127.1/a.jpg",
        "https://[::1]/a.jpg",
        "https://[::ffff:127.0.0.1]/a.jpg",
        "https://169.254.169.254/latest/meta-data/",
        "https://localhost/a.jpg",
        "https://scontent.fbcdn.net/" + "a" * 4_000,
    ],
)
def test_every_other_address_is_refused_before_a_name_is_looked_up(url: str) -> None:
    def never(host: str, _port: int) -> list[str]:
        raise AssertionError(f"{host} was looked up")

    with pytest.raises(RefusedAddress):
        addresses.target(url, HOSTS, resolve=never)


@pytest.mark.parametrize(
    "found",
    [
        [],
        ["127.0.0.1"],
        [PUBLIC, "10.0.0.1"],
        ["100.64.0.1"],
        ["169.254.169.254"],
        ["192.168.1.1"],
        ["::1"],
        ["::127.0.0.1"],
        ["::ffff:10.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["2002:7f00:1::"],
        ["fe80::1%eth0"],
        ["fec0::1"],
        ["224.0.0.1"],
        ["0.0.0.0"],
        ["not an address"],
    ],
)
def test_a_name_that_leads_elsewhere_than_to_the_internet_is_refused(found: list[str]) -> None:
    with pytest.raises(RefusedAddress):
        addresses.target("https://scontent.fbcdn.net/a.jpg", HOSTS, resolve=lambda *_: found)


def test_the_open_internet_is_open() -> None:
    assert all(map(addresses.is_open, (PUBLIC, "8.8.8.8", "2a03:2880:f12f::1")))
