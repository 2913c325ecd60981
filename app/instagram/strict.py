"""What an answer must look like: strict JSON, fields of the types Meta documents; anything else is a bad answer."""

import json
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NoReturn

from app.instagram import ids
from app.instagram.errors import bad_answer
from app.text import storable


def parse(body: bytes) -> dict[str, Any] | None:
    """Return the JSON object that `body` is, or None: strict UTF-8, no NaN, no infinity, no bottomless nesting."""
    try:
        value = json.loads(body.decode(), parse_constant=_refuse, parse_float=_finite)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def mapping(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the object in a field, empty when it is absent or null; raises CallFailed for another type."""
    value = holder.get(name)
    if not isinstance(value, dict | None):
        raise bad_answer("types")
    return value or {}


def items(holder: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """Return the objects in a list; raises CallFailed when it is absent or of another type."""
    value = holder.get(name)
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise bad_answer("types")
    return value


def text(holder: Mapping[str, Any], name: str) -> str | None:
    """Return the string in a field, fit to be stored, or None when it is absent or null; raises CallFailed."""
    value = holder.get(name)
    if not isinstance(value, str | None):
        raise bad_answer("types")
    return None if value is None else storable(value)


def required(holder: Mapping[str, Any], name: str) -> str:
    """Return the string in a field that must not be missing or empty; raises CallFailed."""
    value = text(holder, name)
    if not value:
        raise bad_answer("types")
    return value


def ig_id(holder: Mapping[str, Any], name: str) -> str | None:
    """Return the ID in a field, a string or a whole number, or None when it is absent or null; raises CallFailed."""
    value = holder.get(name)
    found = ids.ig_id(value)
    if value is not None and found is None:
        raise bad_answer("types")
    return found


def required_id(holder: Mapping[str, Any], name: str) -> str:
    """Return the ID in a field that must not be missing; raises CallFailed."""
    found = ig_id(holder, name)
    if found is None:
        raise bad_answer("types")
    return found


def time(holder: Mapping[str, Any], name: str) -> datetime | None:
    """Return the aware time in a field, written as `2026-03-10T09:20:05+0000`, or None; raises CallFailed."""
    value = text(holder, name)
    try:
        return datetime.strptime(value, "%Y-%m-%dT%H:%M:%S%z") if value else None
    except ValueError:
        raise bad_answer("types") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def _finite(number: str) -> float:
    value = float(number)
    return value if math.isfinite(value) else _refuse(number)
