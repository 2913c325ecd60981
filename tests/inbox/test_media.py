"""Which media a page may load: decided on the parsed URL, whatever its spelling."""

import pytest

from app.inbox import media
from app.text import URL_CHARACTERS

HOSTS = ("cdninstagram.com", "fbcdn.net", "127.0.0.1:8010")


@pytest.mark.parametrize(
    "url",
    [
        "https://scontent.cdninstagram.com/v/t51.jpg?oh=00&_nc=1",
        "https://cdninstagram.com/a",
        "https://scontent.xx.fbcdn.net:443/a",
        "http://127.0.0.1:8010/media/photo/1.png",
    ],
)
def test_urls_of_media_hosts_are_loaded_unchanged(url: str) -> None:
    assert media.loadable(url, HOSTS) == url


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "http://scontent.cdninstagram.com/a",
        "https://example.com/a",
        "https://evilcdninstagram.com/a",
        "https://cdninstagram.com.example.com/a",
        "https://cdninstagram.com@example.com/a",
        "https://example.com\\@cdninstagram.com/a",
        "https://cdninstagram.com:8443/a",
        "https://[::1]/a",
        "https://cdninstagram.com:port/a",
        "//cdninstagram.com/a",
        "javascript:alert(1)//cdninstagram.com",
        "data:image/png;base64,AAAA",
        "https://cdninstagram.com/a b",
        'https://cdninstagram.com/"onerror=',
        "https://cdninstagram.com/ü",
        "https://evil/",
        "https://x.fbcdn.net.evil/",
        "https://fbcdn.net./a",
        "http://127.0.0.1:8011/a",
        "http://127.0.0.1/a",
        "https://cdninstagram.com/" + "x" * URL_CHARACTERS,
    ],
)
def test_everything_else_becomes_a_placeholder(url: str | None) -> None:
    assert media.loadable(url, HOSTS) is None
