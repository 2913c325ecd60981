"""Send alerts by email through SMTP_URL, with a total deadline."""

import smtplib
import ssl
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from app import clock, settings
from app.alerts.deadline import NotSent, within

SECONDS = 20.0  # connection, TLS, sign-in and message together
STEP_SECONDS = 10.0
PORTS = {"smtp": 587, "smtps": 465}


def send(address: str, message_id: str, payload: dict[str, Any]) -> None:
    """Send the payload of a delivery as text. Raises NotSent, with the reason."""
    chosen = settings.current()
    if not chosen.smtp_url:
        raise NotSent("SMTP_URL is not set")
    message = _message(address, chosen.mail_from, message_id, payload)
    clients = list[smtplib.SMTP]()
    within(SECONDS, lambda: _send(chosen.smtp_url, message, clients), lambda: _abort(clients))


def subject(payload: dict[str, Any]) -> str:
    """Return the subject of the email about an event: its kind, the account, and what happened."""
    facts = payload["data"]
    of = f" · account {facts['accountId']}" if facts.get("accountId") else ""
    what = {
        "alert.opened": facts.get("title"),
        "alert.recovered": f"Recovered: {facts.get('title')}",
        "job.finished": f"Job {facts.get('state')}",
        "job.paused": "Job paused",
    }
    return f"[Nametag] {what.get(payload['type'], 'Test')}{of}"


def _message(address: str, sender: str, message_id: str, payload: dict[str, Any]) -> EmailMessage:
    facts = payload["data"]
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, address, subject(payload)
    message["Date"] = format_datetime(clock.now())
    message["Message-ID"] = f"<{message_id}@{sender.rpartition('@')[2].strip('>')}>"
    message["Auto-Submitted"] = "auto-generated"
    lines = [facts.get("text"), facts.get("fix"), ""]
    lines += [f"{name}: {value}" for name, value in facts.items() if name not in ("text", "fix") and value is not None]
    message.set_content("\n".join(line for line in lines if line is not None))
    return message


def _send(url: str, message: EmailMessage, clients: list[smtplib.SMTP]) -> None:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or PORTS[parts.scheme]
    context = ssl.create_default_context()
    try:
        if parts.scheme == "smtps":
            client: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=STEP_SECONDS, context=context)
        else:
            client = smtplib.SMTP(host, port, timeout=STEP_SECONDS)
        clients.append(client)
        with client:
            client.ehlo()
            encrypted = parts.scheme == "smtps"
            if not encrypted and client.has_extn("starttls"):
                client.starttls(context=context)
                encrypted = True
            if parts.username:
                if not encrypted:
                    raise NotSent("the mail server offers no encryption, so the password was not sent")
                client.login(unquote(parts.username), unquote(parts.password or ""))
            client.send_message(message)
    except (smtplib.SMTPException, OSError) as error:  # their texts may quote addresses
        code = getattr(error, "smtp_code", None)
        raise NotSent(
            f"the mail server answered {code}" if code else f"no mail server ({type(error).__name__})"
        ) from None


def _abort(clients: list[smtplib.SMTP]) -> None:
    for each in clients:
        if each.sock is not None:
            each.sock.close()
