"""The file of a backup: a ZIP with one file of rows per table, as lines of JSON, and `backup.json` about them.

It restores into SQLite and PostgreSQL. Reading and writing keep a few rows in memory.
"""

import hashlib
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from app import clock, installation, settings
from app.backup import tables
from app.errors import Conflict, Invalid
from app.strict_json import load_json

HEAD = "backup.json"
FORMAT = 1
LEVEL = 4  # of compression: twice as fast as the default, a tenth larger
PIECE_BYTES = 1024 * 1024
FINGERPRINT_BYTES = 4
# What zipfile raises for damage depends on the byte; RuntimeError is for a flag of encryption.
DAMAGED = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, KeyError, ValueError, TypeError, RuntimeError)


@dataclass(frozen=True, slots=True)
class Part:
    """A table in a backup: its columns, the number of its rows, and the SHA-256 of its file in the ZIP."""

    columns: list[str]
    rows: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Head:
    """What a backup says about itself. `keys` are fingerprints of TOKEN_ENCRYPTION_KEYS, never the keys."""

    format: int
    version: str
    revision: str
    at: datetime
    keys: list[str]
    tables: Mapping[str, Part]


def fingerprints() -> list[str]:
    """Return the fingerprints of the keys that this installation encrypts access tokens with."""
    keys = settings.current().token_encryption_keys
    return [hashlib.blake2s(key.encode(), digest_size=FINGERPRINT_BYTES).hexdigest() for key in keys]


def write(path: Path, connection: Connection, revision: str) -> Head:
    """Write all rows that `connection` sees to a new file, which appears when it is complete. Raises Conflict."""
    if path.exists():
        raise Conflict(f"{path} exists. Nothing was written. Choose another name.")
    partial = path.with_name(f"{path.name}.part")
    at, parts = clock.now(), dict[str, Part]()
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with (
            os.fdopen(descriptor, "wb") as written,
            zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as packed,
        ):
            for each in tables.describe(connection):
                parts[each.name] = _write_table(packed, connection, each)
            head = Head(FORMAT, installation.VERSION, revision, at, fingerprints(), parts)
            packed.writestr(HEAD, json.dumps(asdict(head) | {"at": at.isoformat()}, indent=1))
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise Conflict(f"Can't write {path}: {error.strerror or error}. No backup was made.") from error
    finally:
        partial.unlink(missing_ok=True)
    return head


@contextmanager
def opened(path: Path) -> Iterator["Archive"]:
    """Yield a backup that was read to its end and is complete. Raises Invalid for any other file."""
    try:
        with zipfile.ZipFile(path) as packed:
            yield Archive(packed, _checked(path, packed))
    except OSError as error:
        raise Invalid({"file": f"Can't read {path}: {error.strerror or error}. Nothing was changed."}) from error
    except zipfile.BadZipFile as error:
        raise _damaged(path) from error


@dataclass(frozen=True, slots=True)
class Archive:
    """A complete backup."""

    packed: zipfile.ZipFile
    head: Head

    def lines(self, name: str) -> Iterator[bytes]:
        """Yield the rows of a table."""
        with self.packed.open(_member(name)) as file:
            yield from file


def _write_table(packed: zipfile.ZipFile, connection: Connection, found: tables.Table) -> Part:
    rows, digest = 0, hashlib.sha256()
    with packed.open(_member(found.name), "w", force_zip64=True) as file:
        for line in tables.read(connection, found):
            file.write(line + b"\n")
            digest.update(line + b"\n")
            rows += 1
    return Part(list(found.types), rows, digest.hexdigest())


def _checked(path: Path, packed: zipfile.ZipFile) -> Head:
    try:
        stored: dict[str, Any] = load_json(packed.read(HEAD))
        if stored["format"] != FORMAT:
            raise Invalid(
                {"file": f"{path} has the format {stored['format']} of another version. Nothing was changed."}
            )
        parts = {name: Part(**part) for name, part in stored["tables"].items()}
        head = Head(**(stored | {"at": datetime.fromisoformat(stored["at"]), "tables": parts}))
        wrong = [name for name, part in parts.items() if _measure(packed, name) != (part.rows, part.sha256)]
    except DAMAGED as error:
        raise _damaged(path) from error
    if wrong:
        raise _damaged(path, f": the rows of {wrong[0]} are not those that were backed up")
    return head


def _measure(packed: zipfile.ZipFile, name: str) -> tuple[int, str]:
    rows, digest = 0, hashlib.sha256()
    with packed.open(_member(name)) as file:
        while piece := file.read(PIECE_BYTES):
            rows += piece.count(b"\n")
            digest.update(piece)
    return rows, digest.hexdigest()


def _damaged(path: Path, detail: str = "") -> Invalid:
    return Invalid({"file": f"{path} is damaged or no backup of Nametag{detail}. Nothing was changed."})


def _member(name: str) -> str:
    return f"tables/{name}.jsonl"


def fingerprints_missing(head: Head) -> Sequence[str]:
    """Return the fingerprints of keys that the backup was made with and this installation lacks."""
    present = fingerprints()
    return [each for each in head.keys if each not in present]
