"""Accounts, contacts and events for tests. The sandbox knows the same accounts and contacts."""

import json
from datetime import datetime
from itertools import count
from typing import Any

from app import clock
from app.db import transaction
from app.db.types import Secret
from app.identities import observations
from app.identities.observations import ProfileObservation
from app.models.account import Account, AccountState, Login
from app.models.identity import Source
from app.models.user import User
from app.viewer import Role, Viewer
from tests.support.webhooks import receive_webhook

MAISON_LUNE = "17841400000000101"
MAISON_LUNE_APP_SCOPED = "24900000000000777"
MAISON_LUNE_IGSID = "1520000000000900"
ATELIER_NORD = "17841400000000202"
ATELIER_NORD_PAGE = "104000000000301"

LEA = "1520000000000011"  # lea.moreau, Léa Moreau
CAMILLE = "1520000000000033"  # a name only: Camille Roux
UNKNOWN_PERSON = "1520000000883201"  # the profile has an ID only
GHOST = "1520000000000404"  # deleted: error 9010
SHY = "1520000000000230"  # no profile consent: error 230
RUI = "9990000000000023"  # rui.costa, later rui.c; above 2^53

_numbers = count(1)


def an_account(ig_account_id: str = MAISON_LUNE, **fields: Any) -> Account:
    """Store a connected account, maison.lune by default; `fields` override columns, `token` comes plain."""
    known: dict[str, dict[str, Any]] = {
        MAISON_LUNE: {
            "username": "maison.lune",
            "login": Login.INSTAGRAM,
            "ig_app_scoped_id": MAISON_LUNE_APP_SCOPED,
            "own_ids": [MAISON_LUNE_IGSID],
        },
        ATELIER_NORD: {"username": "atelier.nord", "login": Login.FACEBOOK, "ig_page_id": ATELIER_NORD_PAGE},
    }
    token = fields.pop("token", "sandbox-token-of-a-test")
    columns = {"login": Login.INSTAGRAM, "own_ids": [], "state": AccountState.CONNECTED, "connected_at": clock.now()}
    columns |= known.get(ig_account_id, {}) | fields
    with transaction.write() as tx:
        account = Account(ig_account_id=ig_account_id, token=Secret.hide(token) if token else None, **columns)
        tx.session.add(account)
    return account


def a_sandbox_account(ig_account_id: str = MAISON_LUNE, **fields: Any) -> Account:
    """Store an account that the sandbox knows by its token."""
    tokens = {MAISON_LUNE: "IGAAsandboxMaisonLune0123456789", ATELIER_NORD: "EAAsandboxAtelierNord0123456789"}
    return an_account(ig_account_id, token=tokens[ig_account_id], **fields)


def a_user(name: str = "nadia", *, account_ids: list[int] | None = None, **fields: Any) -> Viewer:
    """Store a user who signed in a moment ago; return them as a viewer. They can't sign in again: see `signed_in`."""
    email = f"{name}@example.com"
    columns = {"role": Role.AGENT, "created_at": clock.now(), "last_sign_in_at": clock.now()} | fields
    user = User(
        email=email,
        name=name,
        account_ids=account_ids,
        password_hash="",
        session_key=f"{name} {next(_numbers)}",
        **columns,
    )
    with transaction.write() as tx:
        tx.session.add(user)
    return Viewer(user.id, email, user.role, None if account_ids is None else frozenset(account_ids))


def people_wrote(*people: str, at: datetime | None = None) -> None:
    """Deliver a message of each contact to maison.lune, a millisecond apart, now or at `at`."""
    first_ms = int((at or clock.now()).timestamp() * 1000)
    deliver(*(a_message_event(who, at_ms=first_ms + place) for place, who in enumerate(people)))


def deliver(*events: dict[str, Any], ig_account_id: str = MAISON_LUNE) -> None:
    """Deliver `events` of one account in one signed POST, without HTTP."""
    assert receive_webhook(a_delivery(*events, ig_account_id=ig_account_id)).status == 200


def named(
    account: Account, who: str, username: str | None = None, name: str | None = None, *, at: datetime | None = None
) -> None:
    """Store a contact's names as a lookup does, now or at `at`."""
    seen = ProfileObservation(who, username, name, None, Source.PROFILE, at or clock.now())
    with transaction.write() as tx:
        observations.record(tx, account.id, seen)


def a_message_event(
    sender: str = LEA,
    text: str | None = "Bonjour !",
    *,
    recipient: str = MAISON_LUNE,
    mid: str | None = None,
    at_ms: int | None = None,
    echo: bool = False,
    **message: Any,
) -> dict[str, Any]:
    """Return one item of `messaging`; `message` adds fields such as attachments."""
    number = next(_numbers)
    body: dict[str, Any] = {"mid": mid or f"aWdfZAG1faXRlbToxOk{number:06d}"} | message
    if text is not None:
        body["text"] = text
    if echo:
        body["is_echo"] = True
    sent_at_ms = at_ms if at_ms is not None else int(clock.now().timestamp() * 1000)
    return {"sender": {"id": sender}, "recipient": {"id": recipient}, "timestamp": sent_at_ms, "message": body}


def an_echo_event(recipient: str = LEA, text: str | None = "Avec plaisir.", **changes: Any) -> dict[str, Any]:
    """Return an item of `messaging` in which the account wrote to `recipient`."""
    return a_message_event(changes.pop("sender", MAISON_LUNE), text, recipient=recipient, echo=True, **changes)


def a_delivery(*events: dict[str, Any], ig_account_id: str = MAISON_LUNE) -> bytes:
    """Return the raw body of one POST that carries `events` for one account."""
    now_ms = int(clock.now().timestamp() * 1000)
    entry = {"id": ig_account_id, "time": now_ms, "messaging": list(events)}
    return json.dumps({"object": "instagram", "entry": [entry]}, ensure_ascii=False).encode()
