"""State of the sandbox: contacts, threads, calls and settings, protected by one lock."""

import secrets
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from app.sandbox.accounts import ACCOUNTS, ATELIER_NORD, BY_TOKEN, SYSTEM_USER_TOKEN, Account
from app.sandbox.contacts import Contact, generate_contacts

CONVERSATION_CALLS = 2  # per second and account
KEPT_CALLS = 50_000


@dataclass(slots=True)
class Sent:
    """One message of a thread."""

    mid: str
    at_ms: int
    from_id: str
    to_id: str
    text: str | None
    photo: str | None
    reply_to: str | None = None


@dataclass(slots=True)
class Oddity:
    """How the Conversations API returns one conversation unlike the others; None leaves it as it is.

    `error` names the answer to every page that has more of it than its ID. `participants` replaces the list. `message`
    changes fields of each message, null leaves one out.
    """

    error: str | None = None
    participants: list[Any] | None = None
    message: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One logged call, without its token but with whether the token was in the query."""

    at: float
    account: str | None
    kind: str
    id: str | None
    status: int
    code: int | None
    over_limit: bool
    token_in_query: bool


@dataclass(frozen=True, slots=True)
class Token:
    """A token issued at `at` (Unix time). `kind` is "account", or "user" or "system_user" at Facebook."""

    account: Account | None
    at: float
    permissions: tuple[str, ...] = ()
    kind: str = "account"


@dataclass(slots=True)
class Choices:
    """Settings that can change while the sandbox runs; shares of deliveries are from 0.0 to 1.0.

    `hour_seconds` is the length of the rate limit's hour, for benchmarks. `wrapped` puts responses about a token into
    `data[]`, as documented; without it they are bare, as reported by integrators. `pages` is how a user's Page is
    granted: "listed" in /me/accounts, "granted" and missing there, or "none". `refused_fields` are webhook fields that
    a subscription may not contain, separated by commas. `numeric_ids` makes /me return IDs as numbers. For lists of
    conversations, `largest_page` is the largest page with more than IDs, `updated_time` allows that field, and
    `sparse_pages` begins each list with an empty page that has a `next` and no cursors.
    """

    latency_ms: int = 0
    calls_per_hour: int = 200
    pace: str = "off"
    duplicates: float = 0.0
    disorder: float = 0.0
    losses: float = 0.0
    wrapped: bool = True
    hour_seconds: int = 3600
    pages: str = "listed"
    refused_fields: str = ""
    numeric_ids: bool = False
    largest_page: int = 100
    updated_time: bool = True
    sparse_pages: bool = False


@dataclass(slots=True)
class World:
    """The complete state of one sandbox."""

    base_url: str
    choices: Choices
    contacts: dict[str, Contact]
    threads: dict[tuple[str, str], list[Sent]] = field(default_factory=dict)
    oddities: dict[tuple[str, str], Oddity] = field(default_factory=dict)
    calls: deque[Call] = field(default_factory=lambda: deque(maxlen=KEPT_CALLS))
    accepted: dict[tuple[str, str], deque[float]] = field(default_factory=dict)
    subscribed: dict[str, list[str]] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=lambda: _first_tokens())
    codes: dict[str, Token] = field(default_factory=dict)
    deliveries: dict[str, int] = field(default_factory=lambda: {"sent": 0, "accepted": 0, "waiting": 0})
    lock: threading.RLock = field(default_factory=threading.RLock)

    @classmethod
    def create(cls, base_url: str, choices: Choices, *, contacts: int, seed: int) -> "World":
        """Return a new world with generated contacts."""
        return cls(base_url, choices, {contact.id: contact for contact in generate_contacts(contacts, seed)})

    def of_account(self, account_id: str) -> list[Contact]:
        """Return the contacts of one account."""
        return [contact for contact in self.contacts.values() if contact.account == account_id]

    def add(self, account: Account, contact: Contact, *, text: str | None, photo: str | None, outgoing: bool) -> Sent:
        """Add a message with the current time to a thread."""
        return self.add_at(int(time.time() * 1000), account, contact, text=text, photo=photo, outgoing=outgoing)

    def add_at(
        self, at_ms: int, account: Account, contact: Contact, *, text: str | None, photo: str | None, outgoing: bool
    ) -> Sent:
        """Add a message with a given time to a thread; its sender has given profile consent from then on."""
        from_id, to_id = (account.id, contact.id) if outgoing else (contact.id, account.id)
        sent = Sent(f"aWdfZAG1faXRlbToxOklHTWVzc2FnZAUlEO{secrets.token_hex(58)}", at_ms, from_id, to_id, text, photo)
        with self.lock:
            self.threads.setdefault((account.id, contact.id), []).append(sent)
            contact.wrote = contact.wrote or not outgoing
        return sent

    def newest(self, account: Account, contact: Contact, *, outgoing: bool) -> Sent | None:
        """Return the newest incoming or outgoing message of a thread, or None."""
        with self.lock:
            thread = self.threads.get((account.id, contact.id), [])
            return next((sent for sent in reversed(thread) if (sent.from_id == account.id) == outgoing), None)

    def unsend(self, account: Account, contact: Contact, mid: str) -> None:
        """Delete a message that its sender unsent."""
        with self.lock:
            thread = self.threads.get((account.id, contact.id), [])
            thread[:] = [sent for sent in thread if sent.mid != mid]

    def within_limit(self, account: Account, kind: str) -> bool:
        """Count one call against the account's rate limit; if it is reached, count nothing and return False."""
        span, most = (
            (1.0, CONVERSATION_CALLS)
            if kind == "conversations"
            else (self.choices.hour_seconds, self.choices.calls_per_hour)
        )
        now = time.monotonic()
        with self.lock:
            taken = self.accepted.setdefault((account.id, kind), deque())
            while taken and taken[0] <= now - span:
                taken.popleft()
            if len(taken) >= most:
                return False
            taken.append(now)
            return True

    def used_percent(self, account: Account) -> int:
        """Return the used part of the account's hourly limit of profile calls, in whole percent."""
        with self.lock:
            taken = self.accepted.get((account.id, "profile"), ())
            recent = sum(1 for at in taken if at > time.monotonic() - self.choices.hour_seconds)
        return 100 * recent // max(1, self.choices.calls_per_hour)

    def minutes_to_regain(self, account: Account) -> int:
        """Return the minutes, rounded up, until the account may call again."""
        with self.lock:
            taken = self.accepted.get((account.id, "profile"))
            if not taken:
                return 0
            return max(1, int((taken[0] + self.choices.hour_seconds - time.monotonic()) // 60) + 1)

    def stats(self) -> dict[str, Any]:
        """Return counts of calls, messages and deliveries."""
        with self.lock:
            counted: dict[str, dict[str, int]] = {account: {} for account in ACCOUNTS}
            for call in self.calls:
                if call.account in counted:
                    counted[call.account][call.kind] = counted[call.account].get(call.kind, 0) + 1
            over = sum(call.over_limit for call in self.calls)
            messages = sum(map(len, self.threads.values()))
            return {
                "calls": counted,
                "over_limit": over,
                "messages": messages,
                "deliveries": dict(self.deliveries),
            }


def _first_tokens() -> dict[str, Token]:
    system_user = Token(ACCOUNTS[ATELIER_NORD], 0, ("instagram_basic", "instagram_manage_messages"), "system_user")
    return {each: Token(BY_TOKEN[each], 0) for each in BY_TOKEN} | {SYSTEM_USER_TOKEN: system_user}
