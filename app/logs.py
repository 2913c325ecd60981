"""Logging: one JSON object a line, secrets cut out, the request's or run's id on every line."""

import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from app import settings

_place: ContextVar[Mapping[str, str]] = ContextVar("place", default=MappingProxyType({}))
_ORDINARY = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}

# Anything that looks like a credential, wherever it stands: tokens by their prefixes, what follows "Bearer", the
# password in an address, and values of parameters that carry secrets, as a query or JSON (reliability.md M7, M16, S42).
_SECRETS = re.compile(
    r"\b(?:IGAA|IGQ[VW]|EAA)[\w-]{6,}"
    r"|\bnametag_[\w-]{20,}"
    r"|(?i:(?<=bearer ))[\w.~+/=-]+"
    r"|(?<=://)[^/\s:@\"']*:[^/\s@\"']+(?=@)"
    r"|(?<=sha256=)[0-9a-f]{64}"
)
_NAMED = re.compile(
    r"(?i)((?:access_token|input_token|client_secret|appsecret_proof|signed_request|verify_token|password)"
    r"\\*[\"']?\s*[=:]\s*\\*[\"']?)[^&\s\"'\\,;]+"
)
TELLING = 6  # a shorter secret of ours, say a verify token "ok", stands in too many words to be cut from them


def configure(level: int = logging.INFO) -> None:
    """Send every record of this process to standard error as JSON; safe to call again."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)


@contextmanager
def log_context(**ids: str) -> Iterator[None]:
    """Add `ids` (request, run, account) to every record written inside the block."""
    token = _place.set({**_place.get(), **ids})
    try:
        yield
    finally:
        _place.reset(token)


def redact(text: str) -> str:
    """Return `text` with everything that looks like a token or is one of our own secrets replaced by [secret]."""
    text = _NAMED.sub(r"\1[secret]", _SECRETS.sub("[secret]", text))
    for secret in _own_secrets():
        text = text.replace(secret, "[secret]")
    return text


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON; control characters come out escaped, so a record is always one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its line break."""
        fields: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields.update(_place.get())
        fields |= {name: value for name, value in vars(record).items() if name not in _ORDINARY}
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return redact(json.dumps(fields, default=str))


def _own_secrets() -> tuple[str, ...]:
    chosen = settings.current()
    plain = (
        chosen.secret_key,
        chosen.meta_verify_token,
        chosen.oidc_client_secret,
        chosen.meta_instagram_app_secret,
        *chosen.meta_app_secrets,
        *chosen.token_encryption_keys,
    )
    telling = [secret for secret in plain if len(secret) >= TELLING]
    return (*telling, *(json.dumps(secret)[1:-1] for secret in telling))
