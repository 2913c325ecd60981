"""The sandbox sends every kind of event in every envelope."""

import json
from typing import Any

import pytest

from app.sandbox import kinds
from tests.factories import LEA
from tests.support.processes import Processes
from tests.support.waiting import until
from tests.support.webhook_receiver import Receiver, receiver

__all__ = ["receiver"]

DISCRIMINATORS = {"message", "message_edit", "reaction", "read", "postback", "referral", "optin", "pass_thread_control"}


@pytest.fixture
def sent(processes: Processes, receiver: Receiver) -> dict[str, dict[str, Any]]:
    """One item of every kind, by kind."""
    sandbox = processes.sandbox(webhook_url=receiver.url)
    told = {}
    for kind in sorted(kinds.KINDS):
        sandbox.post("send", person=LEA, kind=kind, mid="some-mid", text="Bonjour")
        told[kind] = receiver.items()[-1]
    return told


def test_every_kind_has_its_own_field(sent: dict[str, dict[str, Any]]) -> None:
    for kind, item in sent.items():
        assert len(DISCRIMINATORS & item.keys()) == 1, kind
    bodies = [json.dumps(item[next(iter(DISCRIMINATORS & item.keys()))], sort_keys=True) for item in sent.values()]
    assert len(set(bodies)) == len(bodies)


def test_updates_have_the_mid_of_their_message(sent: dict[str, dict[str, Any]]) -> None:
    for kind in kinds.UPDATES:
        member = next(iter(DISCRIMINATORS & sent[kind].keys()))
        assert sent[kind][member]["mid"] == "some-mid"


@pytest.mark.parametrize("envelope", ["messaging", "standby", "changes"])
def test_an_event_is_sent_in_the_requested_envelope(processes: Processes, receiver: Receiver, envelope: str) -> None:
    sandbox = processes.sandbox(webhook_url=receiver.url)
    sandbox.post("send", person=LEA, envelope=envelope)
    [(body, _)] = receiver.posts
    [told] = json.loads(body)["entry"][0][envelope]
    assert (told["value"] if envelope == "changes" else told)["message"]["text"] == "Hello"


def test_doubled_and_lost_deliveries_on_demand(processes: Processes, receiver: Receiver) -> None:
    sandbox = processes.sandbox("--pace", "50", webhook_url=receiver.url)
    sandbox.request("PATCH", "settings", duplicates=1.0, disorder=0.5)
    until(lambda: len(receiver.posts) > 20, "deliveries come twice")
    bodies = [body for body, _ in receiver.posts]
    assert len(set(bodies)) < len(bodies)
    sandbox.request("PATCH", "settings", duplicates=0.0, disorder=0.0, losses=1.0)
    until(lambda: sandbox.get("stats")["deliveries"]["waiting"] == 0, "what was under way has arrived")
    arrived = len(receiver.posts)
    messages = sandbox.get("stats")["messages"]
    until(lambda: sandbox.get("stats")["messages"] > messages + 5, "people go on writing")
    assert len(receiver.posts) <= arrived + 1
