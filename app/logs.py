"""Logging: one JSON object per line, without secrets, with the ID of the request or job."""

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

_context: ContextVar[Mapping[str, str]] = ContextVar("log context", default=MappingProxyType({}))
_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}

# Whatever looks like a credential: tokens by their prefixes, what follows "Bearer", the password in a URL, signatures,
# and values of secret parameters, in a query or in JSON.
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
MIN_SECRET_CHARACTERS = 6  # shorter secrets, such as a verify token "ok", occur inside ordinary words


def configure(level: int = logging.INFO) -> None:
    """Write every log record of this process to standard error as JSON. Safe to call again."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)


@contextmanager
def log_context(**ids: str) -> Iterator[None]:
    """Add `ids` (request, job, account) to every record of the block."""
    token = _context.set({**_context.get(), **ids})
    try:
        yield
    finally:
        _context.reset(token)


def redact(text: str) -> str:
    """Return `text` with [secret] for everything that looks like a token or is a secret of the settings."""
    text = _NAMED.sub(r"\1[secret]", _SECRETS.sub("[secret]", text))
    for secret in _own_secrets():
        text = text.replace(secret, "[secret]")
    return text


class JsonFormatter(logging.Formatter):
    """Formats a record as one line of JSON; control characters are escaped."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without a line break."""
        fields: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields.update(_context.get())
        fields |= {name: value for name, value in vars(record).items() if name not in _STANDARD_FIELDS}
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
    secrets = [secret for secret in plain if len(secret) >= MIN_SECRET_CHARACTERS]
    return (*secrets, *(json.dumps(secret)[1:-1] for secret in secrets))
