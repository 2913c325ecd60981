"""Send signed webhooks, repeated until they are accepted, and generate messages for the demo."""

import hashlib
import hmac
import http.client
import json
import queue
import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from app.sandbox import kinds, media
from app.sandbox.accounts import ACCOUNTS, APP_SECRET, Account
from app.sandbox.contacts import Contact
from app.sandbox.world import Sent, World

ANSWER_SECONDS = 10
WAITS = (0.2, 0.5, 1, 2)
BATCH = 20
BACKLOG_SECONDS = 3 * 86_400
RETURNING = 0.9  # share of messages from known contacts, so that lookups of new ones stay within the budget
TEXTS = (
    "Hi! Is the linen lamp still available?",
    "Bonjour, vous livrez en Belgique ?",
    "Olá! Quanto custa o vaso pequeno? 🧡",
    "Thank you so much, it arrived today",
    "Do you ship to Lisbon?",
    "Je voudrais échanger ma commande, c’est possible ?",
    "مرحبا، هل هذا متوفر؟",
    "Could you hold it until Saturday?",
    "Order #4471 arrived safely, it’s beautiful",
    "送料はいくらですか。",
    "What are your opening hours this week?",
    "Merci beaucoup, à samedi !",
    "Is the cover machine washable?",
    "Perfect 😍",
)
REPLIES = (
    "Yes, one left in sand and two in chalk.",
    "Of course! We ship in 3 to 5 working days.",
    "Avec plaisir, nous vous répondons très vite.",
    "Good morning! We can put one aside under your name.",
    "You’re welcome 🌙",
)


@dataclass(slots=True)
class Sender:
    """Sends webhooks to one URL; deliveries are queued until they get status 200."""

    world: World
    url: str | None
    waiting: "queue.Queue[bytes]" = field(default_factory=queue.Queue)
    chance: random.Random = field(default_factory=random.Random)

    def start(self, *, backlog: int) -> None:
        """Start delivering in background threads."""
        if self.url:
            threading.Thread(target=self._deliver_all, daemon=True).start()
            threading.Thread(target=self._live, args=(backlog,), daemon=True).start()

    def say(
        self,
        account: Account,
        contact: Contact,
        *,
        text: str | None = None,
        photo: bool = False,
        outgoing: bool = False,
        reply_to: str | None = None,
    ) -> Sent:
        """Add a message now and queue its delivery."""
        picture = media.photo_url(self.world.base_url, self.chance.randrange(40)) if photo else None
        sent = self.world.add(account, contact, text=text, photo=picture, outgoing=outgoing)
        sent.reply_to = reply_to
        self._enqueue(delivery(account, [kinds.item(sent, account)]))
        return sent

    def happen(self, account: Account, contact: Contact, kind: str) -> None:
        """Queue an update of the newest message: edit or unsend of an incoming one, seen or reaction of an outgoing."""
        theirs = kind in ("edit", "edit_zero", "unsend")
        sent = self.world.newest(account, contact, outgoing=not theirs)
        if sent is not None:
            about = replace(sent, from_id=contact.id, to_id=account.id, at_ms=int(time.time() * 1000))
            self._enqueue(delivery(account, [kinds.item(about, account, kind)]))

    def deliver_now(
        self, sent: list[Sent], account: Account, *, kind: str = "text", envelope: str = "messaging"
    ) -> int:
        """Deliver these in one POST, once, and return the status (0: no response)."""
        return self._post(delivery(account, [kinds.item(each, account, kind) for each in sent], envelope))

    def _live(self, backlog: int) -> None:
        while self._status("GET") == 0:
            time.sleep(0.1)
        for body in self._backlog(backlog):
            self._enqueue(body)
        next_burst = time.monotonic() + 20
        while True:
            pace = self.world.choices.pace
            if pace == "off":
                time.sleep(0.2)
                continue
            self._write_random_message()
            if pace == "demo" and time.monotonic() > next_burst:
                next_burst = time.monotonic() + self.chance.uniform(35, 55)
                for _ in range(self.chance.randrange(3, 7)):
                    self._write_random_message()
            time.sleep(self.chance.uniform(2, 4) if pace == "demo" else 1 / float(pace))

    def _backlog(self, number: int) -> Iterator[bytes]:
        now_ms = int(time.time() * 1000)
        for account in ACCOUNTS.values():
            contacts = [contact for contact in self.world.of_account(account.id) if not contact.wrote]
            share = contacts[: number * 3 // 5 if account.login == "instagram" else number * 2 // 5]
            moments = sorted(self.chance.uniform(1200, BACKLOG_SECONDS) for _ in share)
            items = []
            for contact, seconds in zip(share, moments, strict=True):
                at_ms = now_ms - int(seconds * 1000)
                text = self.chance.choice(TEXTS)
                sent = self.world.add_at(at_ms, account, contact, text=text, photo=None, outgoing=False)
                items.append(kinds.item(sent, account))
            for begin in range(0, len(items), BATCH):
                yield delivery(account, items[begin : begin + BATCH])

    def _write_random_message(self) -> None:
        account = ACCOUNTS[self.chance.choice((*ACCOUNTS, "17841400000000101"))]
        contacts = self.world.of_account(account.id)
        known = [contact for contact in contacts if contact.wrote]
        new = [contact for contact in contacts if not contact.wrote]
        again = known and (not new or self.chance.random() < RETURNING)
        contact = self.chance.choice(known) if again else new[0]
        if again and self.chance.random() < 0.35:
            self.say(account, contact, text=self.chance.choice(REPLIES), outgoing=True)
        elif self.chance.random() < 0.12:
            self.say(account, contact, photo=True)
        elif again and self.chance.random() < 0.2:
            self.happen(account, contact, self.chance.choice(("reaction", "read", "read", "edit_zero")))
        else:
            self.say(account, contact, text=self.chance.choice(TEXTS))

    def _enqueue(self, body: bytes) -> None:
        with self.world.lock:
            self.world.deliveries["waiting"] += 1
        self.waiting.put(body)

    def _deliver_all(self) -> None:
        while True:
            body = self.waiting.get()
            if self.chance.random() < self.world.choices.losses:
                self._count_done()
                continue
            if self.chance.random() < self.world.choices.disorder and not self.waiting.empty():
                self.waiting.put(body)
                continue
            if self.chance.random() < self.world.choices.duplicates:
                self._post(body)
            tries = 0
            while self._post(body) != 200:
                time.sleep(WAITS[min(tries, len(WAITS) - 1)])
                tries += 1
            self._count_done()

    def _count_done(self) -> None:
        with self.world.lock:
            self.world.deliveries["waiting"] -= 1

    def _post(self, body: bytes) -> int:
        with self.world.lock:
            self.world.deliveries["sent"] += 1
        status = self._status("POST", body, signatures(body))
        if status == 200:
            with self.world.lock:
                self.world.deliveries["accepted"] += 1
        return status

    def _status(self, method: str, body: bytes = b"", headers: dict[str, str] | None = None) -> int:
        url = urlsplit(self.url or "")
        connection = http.client.HTTPConnection(url.netloc, timeout=ANSWER_SECONDS)
        try:
            connection.request(method, url.path, body or None, headers or {})
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()


def delivery(account: Account, items: list[dict[str, Any]], envelope: str = "messaging") -> bytes:
    """Return the body of one POST, with non-ASCII characters escaped as in Meta's deliveries."""
    values = [{"field": "messages", "value": each} for each in items] if envelope == "changes" else items
    entry = {"time": int(time.time() * 1000), "id": account.id, envelope: values}
    return json.dumps({"object": "instagram", "entry": [entry]}, separators=(",", ":")).encode()


def signatures(body: bytes) -> dict[str, str]:
    """Return the signature headers that Meta sends with a body."""
    key = APP_SECRET.encode()
    return {
        "Content-Type": "application/json",
        "User-Agent": "facebookexternalua",
        "X-Hub-Signature": "sha1=" + hmac.new(key, body, hashlib.sha1).hexdigest(),
        "X-Hub-Signature-256": "sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest(),
    }
