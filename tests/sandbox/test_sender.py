"""The sandbox's webhooks: signed over the raw bytes, repeated until accepted."""

import hashlib
import hmac
import json
import urllib.request

from tests.factories import LEA, MAISON_LUNE
from tests.sandbox.calls import INSTAGRAM_TOKEN
from tests.support.processes import Processes
from tests.support.waiting import until
from tests.support.webhook_receiver import Receiver, receiver

__all__ = ["receiver"]


def test_a_message_is_signed_over_its_raw_escaped_bytes(processes: Processes, receiver: Receiver) -> None:
    sandbox = processes.sandbox(webhook_url=receiver.url)
    answer = sandbox.post("send", person=LEA, text="Olá 🧡")
    [secret] = sandbox.get("secrets")["app_secrets"]
    [(body, signature)] = receiver.posts
    assert answer["status"] == 200
    assert body.isascii()
    assert signature == "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    [item] = receiver.items()
    assert (item["sender"]["id"], item["recipient"]["id"], item["message"]["text"]) == (LEA, MAISON_LUNE, "Olá 🧡")


def test_an_echo_comes_from_the_account_and_a_photo_has_a_sandbox_url(processes: Processes, receiver: Receiver) -> None:
    sandbox = processes.sandbox(webhook_url=receiver.url)
    sandbox.post("send", person=LEA, kind="echo", text="Avec plaisir")
    sandbox.post("send", person=LEA, kind="image")
    echo, photo = receiver.items()
    assert (echo["sender"]["id"], echo["recipient"]["id"]) == (MAISON_LUNE, LEA)
    assert photo["message"]["attachments"][0]["payload"]["url"].startswith(sandbox.url)


def test_a_refused_delivery_is_repeated_until_accepted(processes: Processes, receiver: Receiver) -> None:
    receiver.status = 503
    sandbox = processes.sandbox("--backlog", "5", webhook_url=receiver.url)
    until(lambda: sandbox.get("stats")["deliveries"]["sent"] > 2, "deliveries were tried")
    receiver.status = 200
    until(lambda: sandbox.get("stats")["deliveries"]["waiting"] == 0, "all deliveries were accepted")
    assert len(receiver.items()) == 5
    assert len({item["sender"]["id"] for item in receiver.items()}) == 5


def test_the_demo_starts_within_three_seconds_and_continues(processes: Processes, receiver: Receiver) -> None:
    processes.sandbox("--pace", "demo", webhook_url=receiver.url)
    until(lambda: len(receiver.items()) >= 1, "the first message", 3)
    until(lambda: len(receiver.items()) >= 3, "more messages", 40)


def test_a_reply_has_the_mid_of_its_message_in_the_echo(processes: Processes, receiver: Receiver) -> None:
    sandbox = processes.sandbox(webhook_url=receiver.url)
    [mid] = sandbox.post("send", person=LEA, text="Do you ship to Lisbon?")["mids"]
    body = {"recipient": {"id": LEA}, "message": {"text": "Yes"}, "reply_to": {"mid": mid}}
    headers = {"Authorization": f"Bearer {INSTAGRAM_TOKEN}", "Content-Type": "application/json"}
    address = f"{sandbox.url}/instagram/v26.0/me/messages"
    with urllib.request.urlopen(
        urllib.request.Request(address, json.dumps(body).encode(), headers), timeout=10
    ) as sent:
        assert json.load(sent)["recipient_id"] == LEA
    until(lambda: any(each["message"]["text"] == "Yes" for each in receiver.items()), "the echo arrives")
    [echo] = [each for each in receiver.items() if each["message"]["text"] == "Yes"]
    assert echo["message"]["reply_to"] == {"mid": mid}
