"""A web server on a new database, and a browser profile that has signed in. The test delivers events itself.

No workers and no sandbox run. One server serves all modules; each begins with the same rows.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any, Self

from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Page, StorageState
from sqlalchemy import and_, delete, select, update

from app import clock, redis_client, settings
from app.db import transaction
from app.db.engine import db
from app.factory import create_app
from app.models.account import Account
from app.models.conversation import Conversation, UnreadByUser
from app.models.user import User
from app.users import users
from app.viewer import OPERATOR, Role
from tests.factories import CAMILLE, LEA, RUI, UNKNOWN_PERSON, a_message_event, an_account, deliver, named
from tests.support import databases
from tests.support.processes import Processes

EMAIL, PASSWORD = "nadia.kessler@example.com", "a moonlit correct horse"
OTHERS = tuple(f"15300000000{number:05d}" for number in range(60))
# The newest contacts of the inbox, with usernames and names.
KNOWN = ((LEA, "lea.moreau", "Léa Moreau"), (RUI, "rui.costa", "Rui Costa"), (CAMILLE, None, "Camille Roux"))
SETTLED = "() => !document.querySelector('.htmx-request, .htmx-swapping, .htmx-settling')"


@dataclass
class InboxServer:
    """A running web server, and the events that a test delivers to it."""

    url: str
    account: Account
    app: Flask
    settings: dict[str, str]
    at_start: Path
    _state: StorageState | None = field(default=None)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @contextmanager
    def module(self) -> Iterator[Self]:
        """Return to the rows of the start, for the tests of one module; the app's context is open meanwhile."""
        databases.copy_over(self.at_start, databases.file_of(self.settings["database_url"]))
        with settings.using(**self.settings), databases.app_context_of(self.app):
            redis_client.client().flushall()
            self.account = db.session.scalars(select(Account)).one()
            yield self

    def deliver(self, *events: dict[str, Any]) -> None:
        """Deliver events as Meta does."""
        deliver(*events)
        db.session.rollback()

    def write(self, who: str, *words: str | None, ago: timedelta = timedelta(0), **more: Any) -> None:
        """Deliver messages of one contact, a millisecond apart, the first one `ago`."""
        first = int((clock.now() - ago).timestamp() * 1000)
        self.deliver(*(a_message_event(who, each, at_ms=first + place, **more) for place, each in enumerate(words)))

    def conversation(self, who: str) -> int:
        """Return the ID of a contact's conversation."""
        found = "SELECT id FROM conversations WHERE ig_participant_id = :who"
        with db.engine.connect() as connection:
            return int(connection.exec_driver_sql(found.replace(":who", f"'{who}'")).scalar_one())

    def unread(self, who: str) -> int:
        """Return how many messages of a conversation the user of the browser has not read."""
        db.session.rollback()
        user = select(User.id).where(User.email == EMAIL).scalar_subquery()
        own = and_(UnreadByUser.conversation_id == Conversation.id, UnreadByUser.user_id == user)
        found = select(Conversation.unread_count, UnreadByUser.unread_count).outerjoin(UnreadByUser, own)
        return sum(filter(None, db.session.execute(found.where(Conversation.ig_participant_id == who)).one()))

    def mark_all(self, unread: int, *contacts: str) -> None:
        """Set the number of unread messages of these contacts' conversations, or of all."""
        with transaction.write() as tx:
            changed = update(Conversation).values(unread_count=unread)
            tx.execute(changed.where(Conversation.ig_participant_id.in_(contacts)) if contacts else changed)
            tx.execute(delete(UnreadByUser))
            tx.mark_changed(self.account.id)

    def context(self, chromium: Browser, **options: Any) -> BrowserContext:
        """Return a browser profile of a signed-in user."""
        if self._state is None:
            first = chromium.new_context()
            self.sign_in(first.new_page())
            self._state = first.storage_state()
            first.close()
        wide = {"width": 1440, "height": 800}
        known = {"locale": "en-GB", "timezone_id": "UTC", "viewport": wide, "storage_state": self._state}
        context = chromium.new_context(**known | options)
        context.set_default_timeout(10_000)
        return context

    def sign_in(self, page: Page, email: str = EMAIL) -> None:
        """Sign in with the form and wait for the inbox."""
        page.goto(f"{self.url}/inbox")
        page.get_by_label("Email").fill(email)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/inbox*")

    def open(self, page: Page, who: str) -> None:
        """Open a contact's conversation as a page."""
        page.goto(f"{self.url}/inbox/{self.conversation(who)}")
        page.wait_for_function(SETTLED)


# A part that is being polled drops further polls. Waiting and asking are one step: no other poll begins in between.
POLL = """part => new Promise(asked => (function ask() {
  if (document.querySelector('.htmx-request')) { setTimeout(ask, 10); return; }
  htmx.trigger(document.querySelector(`[data-poll=${part}]`), 'poll:now');
  asked();
})())"""


def poll(page: Page, part: str) -> int:
    """Poll one part now; return the status once the answer is shown."""
    address = {"list": "/inbox/list", "thread": "/messages"}[part]
    page.wait_for_function(SETTLED)  # of an earlier poll, the answer may be on its way
    with page.expect_response(lambda response: address in response.url) as answered:
        page.evaluate(POLL, part)
    page.wait_for_function(SETTLED)
    return answered.value.status


def serve(processes: Processes, template: Path, redis_url: str) -> InboxServer:
    """Serve an account with 64 conversations. `InboxServer.module` opens it to the tests of a module."""
    chosen = {"database_url": databases.copy_of(template, processes.folder), "redis_url": redis_url}
    with settings.using(**chosen) as ours, databases.app_context_of(create_app()) as app:
        processes.share(ours)
        account = an_account(connected_at=clock.now() - timedelta(days=30))
        users.add_user(OPERATOR, EMAIL, role=Role.ADMIN, password=PASSWORD)
        inbox = InboxServer("", account, app, chosen, processes.folder / "at-start.sqlite3")
        for place, who in enumerate(OTHERS):
            inbox.write(who, f"Question {place}", ago=timedelta(hours=2, minutes=place))
        inbox.write(UNKNOWN_PERSON, "Hello", ago=timedelta(minutes=40))
        for place, (who, username, name) in enumerate(KNOWN):
            inbox.write(who, f"Hello from {name}", ago=timedelta(minutes=30 - place))
            named(account, who, username, name)
    databases.copy_over(databases.file_of(chosen["database_url"]), inbox.at_start)
    inbox.url = processes.web().url
    return inbox
