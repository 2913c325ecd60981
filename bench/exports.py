"""The time of large exports, and the memory of the web server while it streams them."""

import hashlib
import re
import time
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path

from sqlalchemy import text

from bench.measures import Figure
from bench.million import FACTS, IG_ACCOUNT_ID
from tests.support.installation import Installation
from tests.support.processes import children

MESSAGES = 10_000
MOST_MIB, MOST_SECONDS = 150, 10
_CONTACT = (
    "SELECT i.id AS identity_id, c.id AS conversation_id, c.account_id, c.ig_participant_id FROM identities i"
    " JOIN conversations c ON c.account_id = i.account_id AND c.ig_participant_id = i.ig_participant_id"
    " JOIN accounts a ON a.id = c.account_id WHERE a.ig_account_id = :account ORDER BY c.id LIMIT 1"
)
_MESSAGE = (
    "INSERT INTO messages (account_id, conversation_id, mid_digest, mid, ig_sender_id, outgoing, kind, text, sent_at,"
    " terms) VALUES (:account_id, :conversation_id, :digest, :mid, :who, false, 'text', :words, :at, :terms)"
)


def exports(nametag: Installation, *, contacts: int, on: str) -> Iterator[Figure]:
    """Stream the export of all identities, and of one contact with 10,000 messages; measure time and peak memory."""
    secret = nametag.command("token", "create", "exports", "--scopes", "read,privacy").strip()
    identity_id = _write_messages(nametag)
    took, lines, peak = _streamed(nametag, "/api/identities/export?format=csv", secret)
    assert lines > contacts
    yield Figure(f"{on}: web process while {contacts} identities are exported", peak, MOST_MIB, "MiB")
    yield Figure("  time of that export", took, None, "s")
    took, _, peak = _streamed(nametag, f"/api/identities/{identity_id}/export", secret)
    yield Figure(f"{on}: export of a contact with {MESSAGES} messages", took, MOST_SECONDS, "s")
    yield Figure("  web process meanwhile", peak, MOST_MIB, "MiB")


def _write_messages(nametag: Installation) -> int:
    [contact] = nametag.rows(_CONTACT, account=IG_ACCOUNT_ID)
    words = "Thank you very much, the parcel arrived this morning and everything is as it should be"
    rows = [
        {
            "account_id": contact.account_id,
            "conversation_id": contact.conversation_id,
            "digest": hashlib.sha256(str(number).encode()).digest()[:16],
            "mid": f"exported{number}",
            "who": contact.ig_participant_id,
            "words": f"{words}, order {number}",
            "at": f"2026-10-{number % 28 + 1:02d} {number % 24:02d}:{number % 60:02d}:00.000000",
            "terms": f"thank you order {number} {FACTS}",
        }
        for number in range(MESSAGES)
    ]
    with nametag.database.begin() as connection:
        connection.execute(text(_MESSAGE), rows)
    return int(contact.identity_id)


def _streamed(nametag: Installation, path: str, secret: str) -> tuple[float, int, float]:
    """Return the seconds and line ends of a download, and the most memory of the web server meanwhile in MiB."""
    processes = {nametag.web.id} | children(nametag.web.id)
    for process in processes:
        Path(f"/proc/{process}/clear_refs").write_text("5")  # the peak begins again at the present size
    request = urllib.request.Request(nametag.web.url + path, headers={"Authorization": f"Bearer {secret}"})
    began, lines = time.perf_counter(), 0
    with urllib.request.urlopen(request, timeout=600) as answer:
        while some := answer.read(65_536):
            lines += some.count(b"\n")
    return time.perf_counter() - began, lines, _peak(processes)


def _peak(processes: Iterable[int]) -> float:
    found = (re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{each}/status").read_text()) for each in processes)
    return max(int(each[1]) for each in found if each) / 1024
