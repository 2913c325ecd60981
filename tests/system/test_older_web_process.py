"""A web process of an earlier version keeps answering after the schema was migrated to the newest revision."""

from pathlib import Path

import pytest
from sqlalchemy import NullPool, create_engine, text

from app import settings
from tests.factories import LEA, MAISON_LUNE, a_delivery, a_message_event
from tests.support import databases, history, installation
from tests.support.processes import Processes, Web
from tests.support.webhooks import signature_of
from tests.system.deliveries import MESSAGES
from tests.system.test_web_processes import Browser

OLDER = "0006"  # the newest migration of the earlier version: later ones are upgrades of a running installation


def deliver(web: Web, words: str, secret: str) -> int:
    """Deliver a message of Léa; return the status."""
    body = a_delivery(a_message_event(LEA, words))
    headers = {"Content_Type": "application/json", "X_Hub_Signature_256": signature_of(body, secret)}
    return Browser(web.url).request("POST", "/webhooks/instagram", body.decode(), **headers)[0]


@pytest.mark.timeout(120)
@pytest.mark.usefixtures("redis")
def test_a_running_web_process_of_an_earlier_version_works_with_the_newest_schema(
    processes: Processes, blank_database: str, redis_server: str, tmp_path: Path
) -> None:
    earlier = tmp_path / "earlier"
    history.newest_with(OLDER, earlier)
    with settings.using(database_url=blank_database, redis_url=redis_server) as chosen:
        sandbox = processes.sandbox()
        processes.share(chosen)
        processes.variables["META_APP_SECRETS"] = secret = sandbox.get("secrets")["app_secrets"][0]
        created = processes.nametag("db", "upgrade", PYTHONPATH=str(earlier))
        assert created.returncode == 0, created.stderr
        older = processes.web(PYTHONPATH=str(earlier))
        assert processes.nametag("db", "status").returncode == 3  # behind: the newest version would refuse to start
        databases.upgrade(blank_database)
        installation.connect_accounts(sandbox)
    browser = Browser(older.url)
    assert browser.sign_in() == 303
    assert deliver(older, "Stored by the earlier version", secret) == 200
    newer = processes.web()
    assert deliver(newer, "Stored by the newest version", secret) == 200
    for path in (f"/inbox?account={MAISON_LUNE}", "/inbox/list", "/inbox/list?q=stored", "/inbox/1", "/identities"):
        as_part = {"HX_Request": "true"} if path.startswith("/inbox/list") else {}
        status, _, page = browser.request("GET", path, **as_part)
        assert status == 200, path
        assert path == "/identities" or "by the newest version" in page, path  # a search marks the first word
    current = Browser(newer.url)
    assert current.sign_in() == 303
    thread = current.request("GET", "/inbox/1")[2]
    assert "Stored by the earlier version" in thread
    assert "Stored by the newest version" in thread
    with create_engine(blank_database, poolclass=NullPool).connect() as connection:
        assert connection.execute(text(MESSAGES)).scalar_one() == 2
    assert "Traceback" not in older.output()
