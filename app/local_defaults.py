"""Local defaults: a file with generated secrets and, in the demo, the URLs of the sandbox."""

import fcntl
import secrets
from pathlib import Path

from cryptography.fernet import Fernet
from dotenv import dotenv_values


def file(data_dir: Path) -> Path:
    """Return the path of the file with generated secrets and, in the demo, the URLs of the sandbox."""
    return data_dir / "embedded.env"


def write(data_dir: Path, values: dict[str, str]) -> None:
    """Merge `values` into the local defaults, readable by the owner only. Safe in two processes at the same time."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = file(data_dir)
    with (data_dir / "embedded.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        merged = read(path) | values
        fresh = path.with_suffix(".new")
        fresh.touch(mode=0o600)
        fresh.write_text("".join(f"{name}={value}\n" for name, value in sorted(merged.items())))
        fresh.replace(path)


def with_secrets(data_dir: Path) -> Path:
    """Return the path of the local defaults. Generates secrets if they have none."""
    path = file(data_dir)
    present = read(path)
    if "SECRET_KEY" not in present:
        write(data_dir, generated() | present)
    return path


def read(path: Path) -> dict[str, str]:
    """Return the settings in a file such as `.env`, an empty dictionary without the file."""
    return {name: value for name, value in dotenv_values(path).items() if value is not None} if path.is_file() else {}


def generated() -> dict[str, str]:
    """Return new random secrets."""
    return {
        "SECRET_KEY": secrets.token_urlsafe(32),
        "TOKEN_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "META_APP_SECRETS": secrets.token_hex(16),
        "META_VERIFY_TOKEN": secrets.token_urlsafe(16),
    }
