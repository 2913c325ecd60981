"""One-line previews of messages."""

import pytest

from app.instagram import previews
from app.instagram.events import EventKind


@pytest.mark.parametrize("kind", EventKind)
@pytest.mark.parametrize("outgoing", [False, True])
def test_every_kind_of_message_has_a_preview(kind: EventKind, outgoing: bool) -> None:
    text = previews.preview(kind, None, outgoing=outgoing)
    assert text
    assert kind is EventKind.UNSUPPORTED or text != previews.label(EventKind.UNSUPPORTED, outgoing=outgoing)
    assert previews.preview(kind, "Bonjour", outgoing=outgoing) == "Bonjour"


def test_a_kind_of_a_newer_release_is_unsupported() -> None:
    assert previews.preview("hologram", None, outgoing=False) == "Unsupported message"
