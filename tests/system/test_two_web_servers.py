"""Two web servers on one database: the same deliveries at the same time are stored, and counted, once."""

import threading
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from app import clock, settings
from app.core import create_core
from app.db import transaction
from app.ingest import event_handlers
from app.instagram.events import EventKind, MessageSent
from tests.factories import MAISON_LUNE, a_delivery, a_message_event, an_echo_event
from tests.support import databases, installation
from tests.support.installation import Installation
from tests.support.processes import Processes, Web
from tests.support.webhooks import signature_of

DELIVERIES, CONTACTS, AT_ONCE = 400, 40, 6
WRONG = (
    "SELECT c.id, c.unread_count FROM conversations c WHERE c.unread_count <>"
    " (SELECT count(*) FROM messages m WHERE m.conversation_id = c.id AND NOT m.outgoing AND m.kind <> 'unsent')"
)


def contact(number: int) -> str:
    return f"17000000{number % CONTACTS:08d}"


@pytest.mark.usefixtures("redis")
@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_the_same_deliveries_to_two_web_servers_leave_exact_unread_counts(
    processes: Processes, database: str, redis_server: str
) -> None:
    with settings.using(database_url=database, redis_url=redis_server) as chosen:
        nametag = installation.started(processes, chosen, queues=())
    webs = (nametag.web, processes.web())
    now_ms = int(clock.now().timestamp() * 1000)
    events = [
        a_message_event(contact(number), mid=f"both-{number}", at_ms=now_ms + number) for number in range(DELIVERIES)
    ]
    bodies = [a_delivery(each) for each in events[20:]]
    # Sent before every message: an answer marks earlier messages as read.
    pairs = [an_echo_event(contact(number), mid=f"echo-{number}", at_ms=now_ms - 1) for number in range(10)]
    bodies += [a_delivery(*events[:20], *pairs)]
    syncing = threading.Thread(target=_sync, args=(database, range(0, DELIVERIES, 5)))
    syncing.start()
    with ThreadPoolExecutor(2 * AT_ONCE) as pool:
        posted = [
            pool.submit(_post_all, nametag, web, bodies[place::AT_ONCE]) for place in range(AT_ONCE) for web in webs
        ]
        statuses = {status for each in posted for status in each.result()}
    syncing.join()
    assert statuses == {200}
    assert nametag.value("SELECT count(*) FROM messages") == DELIVERIES + len(pairs)
    assert nametag.value("SELECT sum(unread_count) FROM conversations") == DELIVERIES
    assert nametag.rows(WRONG) == []
    assert nametag.value("SELECT count(*) FROM dead_letters") == 0


def _post_all(nametag: Installation, web: Web, bodies: Sequence[bytes]) -> list[int]:
    statuses = []
    for body in bodies:
        headers = {"X-Hub-Signature-256": signature_of(body, nametag.app_secret)}
        request = urllib.request.Request(f"{web.url}/webhooks/instagram", body, headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            statuses.append(answer.status)
    return statuses


def _sync(database: str, numbers: Sequence[int]) -> None:
    """Store some of the messages as a conversation sync does, while their deliveries arrive."""
    with settings.using(database_url=database), databases.app_context_of(create_core()):
        for number in numbers:
            with transaction.write() as tx:
                account = event_handlers.find_recipient(tx, MAISON_LUNE)
                assert account
                sent = MessageSent(
                    MAISON_LUNE,
                    contact(number),
                    MAISON_LUNE,
                    clock.now(),
                    f"both-{number}",
                    EventKind.TEXT,
                    "",
                    (),
                    {},
                )
                event_handlers.handle_in_savepoint(tx, account, sent, from_sync=True)
