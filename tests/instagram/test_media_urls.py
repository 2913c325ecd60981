"""URLs that pictures may be fetched from, and many that must be refused."""

import pytest

from app.instagram import media_urls
from app.instagram.media_urls import AllowedUrl, RefusedUrl

HOSTS = ("fbcdn.net", "cdninstagram.com", "127.0.0.1:5061")
PUBLIC = "157.240.0.1"


def test_the_connection_goes_to_the_ip_address_that_was_checked() -> None:
    found = media_urls.parse_allowed("https://scontent.cdninstagram.com/v/a.jpg?oe=6924&x=1", HOSTS)
    assert found == AllowedUrl(True, "scontent.cdninstagram.com", 443, "/v/a.jpg?oe=6924&x=1")
    assert media_urls.parse_allowed("HTTPS://FBCDN.NET:443#top", HOSTS) == AllowedUrl(True, "fbcdn.net", 443, "/")
    assert media_urls.resolve_public(found, resolve=lambda *_: [PUBLIC, "8.8.8.8"]) == PUBLIC


def test_plain_http_is_allowed_only_to_the_host_and_port_of_a_sandbox() -> None:
    found = media_urls.parse_allowed("http://127.0.0.1:5061/a.png", HOSTS)
    assert found == AllowedUrl(False, "127.0.0.1", 5061, "/a.png")
    assert media_urls.resolve_public(found) == "127.0.0.1"
    assert media_urls.parse_allowed("http://localhost:5061/a.png", ("localhost:5061",)).host == "localhost"
    for other in ("http://127.0.0.1:5062/a.png", "http://127.0.0.1/a.png", "https://127.0.0.1:5061/a.png"):
        with pytest.raises(RefusedUrl):
            media_urls.parse_allowed(other, HOSTS)


def test_plain_http_is_never_allowed_to_a_dns_name() -> None:
    with pytest.raises(RefusedUrl):
        media_urls.parse_allowed("http://cdn.example:5061/a.png", ("cdn.example:5061",))


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("https://www.instagram.com/p/Abc/?igsh=1", True),
        ("http://shop.example:8080/linen", True),
        ("HTTPS://SHOP.EXAMPLE/", True),
        ("javascript:alert(1)", False),
        ("data:text/html,x", False),
        ("//shop.example/linen", False),
        ("https://user@shop.example/", False),
        ("https://shop.example\\@evil.example/", False),
        ("https://shop.example/a b", False),
        ("https://shop.example:port/", False),
        ("https://[::1", False),
        ("http://localhost/", False),
        ("http://nametag.localhost/", False),
        ("http://redis.internal/", False),
        ("http://127.0.0.1/", False),
        ("http://127.1/", False),
        ("http://0x7f.0x1/", False),
        ("http://[::1]/", False),
        ("https://8.8.8.8/", False),
        ("https://shop.example/" + "x" * 4_000, False),
    ],
)
def test_a_public_url_is_http_with_a_host_name_and_without_credentials(url: str, public: bool) -> None:
    assert media_urls.is_public(url) is public


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
def test_every_other_url_is_refused_without_a_dns_lookup(url: str) -> None:
    with pytest.raises(RefusedUrl):
        media_urls.parse_allowed(url, HOSTS)


@pytest.mark.parametrize(
    "found",
    [
        [],
        ["127.0.0.1"],
        [PUBLIC, "10.0.0.1"],
        ["100.64.0.1"],
        ["169.254.169.254"],
        ["192.168.1.1"],
        ["0.1.2.3"],
        ["10.1.2.3"],
        ["172.16.0.1"],
        ["192.0.0.8"],
        ["192.88.99.1"],
        ["198.18.0.1"],
        ["255.255.255.255"],
        ["::"],
        ["::1"],
        ["2001::1"],
        ["2001:db8::1"],
        ["fc00::1"],
        ["ff02::1"],
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
def test_a_name_with_a_private_ip_address_is_refused(found: list[str]) -> None:
    with pytest.raises(RefusedUrl):
        media_urls.resolve_public(
            media_urls.parse_allowed("https://scontent.fbcdn.net/a.jpg", HOSTS), resolve=lambda *_: found
        )


def test_public_ip_addresses_are_allowed() -> None:
    assert all(map(media_urls.is_public_address, (PUBLIC, "8.8.8.8", "2a03:2880:f12f::1")))
