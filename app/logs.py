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

# Anything that looks like a credential, wherever it stands: Meta's tokens by their prefixes, bearer headers,
# and values of parameters that carry secrets (reliability.md M7, M16, S42).
_SECRETS = re.compile(
    r"(?i)\b(?:IGAA|EAA)[\w-]{6,}"
    r"|(?<=bearer )[\w.~+/=-]+"
    r"|(?<=access_token[=:])[^&\s\"']+"
    r"|(?<=client_secret=)[^&\s\"']+"
    r"|(?<=appsecret_proof=)[^&\s\"']+"
    r"|(?<=signed_request=)[^&\s\"']+"
    r"|(?<=sha256=)[0-9a-f]{64}"
)


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
def place(**ids: str) -> Iterator[None]:
    """Add `ids` (request, run, account) to every record written inside the block."""
    token = _place.set({**_place.get(), **ids})
    try:
        yield
    finally:
        _place.reset(token)


def redact(text: str) -> str:
    """Return `text` with everything that looks like a token or is one of our own secrets replaced by [secret]."""
    text = _SECRETS.sub("[secret]", text)
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
    kept = (chosen.secret_key, chosen.meta_verify_token, chosen.meta_instagram_app_secret)
    return tuple(each for each in (*kept, *chosen.meta_app_secrets, *chosen.token_encryption_keys) if each)
