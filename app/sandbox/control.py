"""Control routes under /_sandbox/, with which tests and the demo read and change the sandbox. Loopback only."""

import time
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from typing import Any

from app.sandbox import errors, kinds
from app.sandbox.accounts import ACCOUNTS, APP_ID, APP_SECRET, VERIFY_TOKEN
from app.sandbox.contacts import Contact, generate_contacts
from app.sandbox.faults import Fault, Faults
from app.sandbox.sender import Sender
from app.sandbox.world import Choices, Oddity, Sent, World

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
CHANGEABLE = ("username", "name", "has_picture", "null_fields", "refused_field", "error")
SECRETS = {"app_id": APP_ID, "app_secrets": [APP_SECRET], "verify_token": VERIFY_TOKEN}
Body = dict[str, Any]


class BadRequest(Exception):
    """An invalid control request; the text says what is required."""


def is_local(peer: str, host: str) -> bool:
    """Return whether a request comes from this machine and names it in its Host header."""
    return peer in LOOPBACK and host.rpartition(":")[0].strip("[]") in LOOPBACK


class Control:
    """The control routes of one sandbox."""

    def __init__(self, world: World, faults: Faults, sender: Sender, *, contacts: int, seed: int) -> None:
        self.world, self.faults, self.sender = world, faults, sender
        self.contacts, self.seed = contacts, seed
        self._routes: dict[tuple[str, str], Callable[[dict[str, str], Body], Any]] = {
            ("GET", "accounts"): lambda _query, _body: [asdict(account) for account in ACCOUNTS.values()],
            ("GET", "secrets"): lambda _query, _body: SECRETS,
            ("GET", "people"): self._list_contacts,
            ("GET", "calls"): lambda _query, _body: [asdict(call) for call in list(world.calls)],
            ("DELETE", "calls"): lambda _query, _body: world.calls.clear(),
            ("GET", "stats"): lambda _query, _body: world.stats(),
            ("GET", "faults"): lambda _query, _body: faults.listed(),
            ("POST", "faults"): self._switch_on,
            ("DELETE", "faults"): lambda _query, _body: faults.switch_off(),
            ("GET", "settings"): lambda _query, _body: asdict(world.choices),
            ("PATCH", "settings"): self._change_settings,
            ("POST", "send"): self._send,
            ("POST", "age"): self._age,
            ("POST", "reset"): self._reset,
        }

    def handle(self, method: str, path: str, query: dict[str, str], body: Body) -> Any:
        """Handle one request; raises BadRequest, and KeyError for an unknown route."""
        if method == "PATCH" and path.startswith("people/"):
            return self._change_contact(path.removeprefix("people/"), body)
        if method == "PATCH" and path.startswith("conversations/"):
            return self._change_conversation(path.removeprefix("conversations/"), body)
        return self._routes[method, path](query, body)

    def _list_contacts(self, query: dict[str, str], _body: Body) -> list[Body]:
        account = query.get("account")
        return [asdict(each) for each in self.world.contacts.values() if account in (None, each.account)]

    def _change_contact(self, ig_id: str, body: Body) -> Body:
        contact = self._contact(ig_id)
        for name, value in body.items():
            if name not in CHANGEABLE:
                raise BadRequest(f"of a contact, only {', '.join(CHANGEABLE)} can be changed")
            if name == "error" and value is not None and value not in errors.NAMES:
                raise BadRequest("error must be one of Meta's errors, such as 230")
            setattr(contact, name, value)
        return asdict(contact)

    def _change_conversation(self, ig_id: str, body: Body) -> Body:
        contact = self._contact(ig_id)
        if unknown := body.keys() - {each.name for each in fields(Oddity)}:
            raise BadRequest(f"a conversation has no {', '.join(sorted(unknown))}")
        if body.get("error") is not None and body["error"] not in errors.NAMES:
            raise BadRequest("error must be one of Meta's errors, such as 1")
        odd = Oddity(**body)
        self.world.oddities[contact.account, contact.id] = odd
        return asdict(odd)

    def _switch_on(self, _query: dict[str, str], body: Body) -> list[Body]:
        if unknown := body.keys() - {each.name for each in fields(Fault)}:
            raise BadRequest(f"a fault has no {', '.join(sorted(unknown))}")
        try:
            self.faults.switch_on(Fault(**body))
        except (TypeError, ValueError) as error:
            raise BadRequest(str(error)) from None
        return self.faults.listed()

    def _change_settings(self, _query: dict[str, str], body: Body) -> Body:
        kinds = {each.name: type(getattr(self.world.choices, each.name)) for each in fields(Choices)}
        for name, value in body.items():
            if name not in kinds or type(value) is not kinds[name]:
                raise BadRequest(f"settings are {', '.join(sorted(kinds))}, each of its own type")
            setattr(self.world.choices, name, value)
        return asdict(self.world.choices)

    def _send(self, _query: dict[str, str], body: Body) -> Body:
        contact = self._contact(str(body.get("person")))
        account, kind, envelope = ACCOUNTS[contact.account], body.get("kind", "text"), body.get("envelope", "messaging")
        if kind not in kinds.KINDS:
            raise BadRequest(f"kind must be one of {', '.join(sorted(kinds.KINDS))}")
        if envelope not in ("messaging", "standby", "changes"):
            raise BadRequest("envelope must be messaging, standby or changes")
        if kind in kinds.UPDATES:
            sent = [self._update(contact, str(body.get("mid", "")), kind, body.get("text"))]
        else:
            at_ms = int(body.get("at_ms", time.time() * 1000))
            sent = [
                self._add_message(contact, kind, body.get("text", "Hello"), at_ms)
                for _ in range(int(body.get("times", 1)))
            ]
        status = self.sender.deliver_now(sent, account, kind=kind, envelope=envelope)
        return {"status": status, "mids": [each.mid for each in sent]}

    def _add_message(self, contact: Contact, kind: str, text: object, at_ms: int) -> Sent:
        photo = kinds.photo(self.world.base_url, kind, 1)
        body_text = None if kind == "image" else str(text)
        outgoing, account = kind == "echo", ACCOUNTS[contact.account]
        return self.world.add_at(at_ms, account, contact, text=body_text, photo=photo, outgoing=outgoing)

    def _update(self, contact: Contact, mid: str, kind: str, text: object) -> Sent:
        now_ms = int(time.time() * 1000)
        body_text = None if text is None else str(text)
        if kind == "unsend":
            self.world.unsend(ACCOUNTS[contact.account], contact, mid)
        return Sent(mid, now_ms, contact.id, contact.account, body_text, None)

    def _age(self, _query: dict[str, str], body: Body) -> None:
        with self.world.lock:
            for name, token in self.world.tokens.items():
                self.world.tokens[name] = replace(token, at=token.at - float(body.get("hours", 24)) * 3600)

    def _reset(self, _query: dict[str, str], _body: Body) -> None:
        self.faults.switch_off()
        with self.world.lock:
            self.world.contacts = {contact.id: contact for contact in generate_contacts(self.contacts, self.seed)}
            for remembered in (self.world.threads, self.world.oddities, self.world.calls, self.world.accepted):
                remembered.clear()

    def _contact(self, ig_id: str) -> Contact:
        if ig_id not in self.world.contacts:
            raise BadRequest("person must be the ID of a contact in /_sandbox/people")
        return self.world.contacts[ig_id]
