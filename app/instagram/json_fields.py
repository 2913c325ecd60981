"""Read Meta's JSON responses strictly: fields of the documented types, else GraphAPIError with reason BAD_ANSWER."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from app.instagram import ids
from app.instagram.errors import bad_response
from app.strict_json import load_json
from app.text import storable

ID_CHARACTERS = 512


def load_object(body: bytes) -> dict[str, Any] | None:
    """Return the JSON object in `body`, or None if it is no object or `load_json` refuses it."""
    try:
        value = load_json(body)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def optional_object(holder: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the object in a field, empty when it is absent or null; raises GraphAPIError for another type."""
    value = holder.get(name)
    if not isinstance(value, dict | None):
        raise bad_response("types")
    return value or {}


def require_object(value: Any) -> Mapping[str, Any]:
    """Return `value`, which must be an object; raises GraphAPIError for another type."""
    if not isinstance(value, dict):
        raise bad_response("types")
    return value


def required_list(holder: Mapping[str, Any], name: str) -> list[Any]:
    """Return a list with elements of any type; raises GraphAPIError if it is absent or of another type."""
    value = holder.get(name)
    if not isinstance(value, list):
        raise bad_response("types")
    return value


def required_objects(holder: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """Return a list of objects; raises GraphAPIError if it is absent or of another type."""
    value = holder.get(name)
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise bad_response("types")
    return value


def optional_text(holder: Mapping[str, Any], name: str) -> str | None:
    """Return the string in a field, safe to store, or None if it is absent or null; raises GraphAPIError."""
    value = holder.get(name)
    if not isinstance(value, str | None):
        raise bad_response("types")
    return None if value is None else storable(value)


def required_text(holder: Mapping[str, Any], name: str) -> str:
    """Return the string in a field that must not be missing or empty; raises GraphAPIError."""
    value = optional_text(holder, name)
    if not value:
        raise bad_response("types")
    return value


def optional_id(holder: Mapping[str, Any], name: str) -> str | None:
    """Return the ID in a field, a string or a whole number, or None if it is absent or null; raises GraphAPIError."""
    value = holder.get(name)
    found = ids.ig_id(value)
    if value is not None and found is None:
        raise bad_response("types")
    return found


def required_id(holder: Mapping[str, Any], name: str) -> str:
    """Return the ID in a field that must not be missing; raises GraphAPIError."""
    found = optional_id(holder, name)
    if found is None:
        raise bad_response("types")
    return found


def required_identifier(holder: Mapping[str, Any], name: str) -> str:
    """Return the ID of a conversation or message as a string, also from a number; raises GraphAPIError."""
    value = holder.get(name)
    if isinstance(value, int) and not isinstance(value, bool) and value in ids.NUMBERS:
        return str(value)
    if not isinstance(value, str) or not 0 < len(value) <= ID_CHARACTERS:
        raise bad_response("types")
    return storable(value)


def required_time(holder: Mapping[str, Any], name: str) -> datetime:
    """Return the time in a field (aware UTC), such as `2026-03-10T09:20:05+0000`, also with fractional seconds.

    Raises GraphAPIError if it is absent or has no time zone.
    """
    try:
        value = datetime.fromisoformat(required_text(holder, name))
    except ValueError:
        raise bad_response("types") from None
    if value.tzinfo is None:
        raise bad_response("types")
    return value.astimezone(UTC)
