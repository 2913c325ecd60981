"""Read JSON that others wrote: responses, request bodies, headers, Redis values and files."""

import json
import math
from typing import Any, NoReturn

MAX_DEPTH = 32  # Meta's responses have at most 8 levels


def load_json(body: bytes | str, *, max_depth: int = MAX_DEPTH) -> Any:
    """Return the value in `body`; a repeated name has the last of its values. Strings may hold lone surrogates.

    Raises ValueError for what is not JSON (RFC 8259), or cannot be passed on: bytes that are not UTF-8, NaN, infinity
    and numbers beyond a float, integers with thousands of digits, arrays and objects deeper than `max_depth` levels.
    """
    text = body if isinstance(body, str) else body.decode()
    try:
        value = json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if _depth_exceeds(value, max_depth):
        raise ValueError("nested too deep")
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")


def _finite(number: str) -> float:
    value = float(number)
    return value if math.isfinite(value) else _refuse(number)


def _depth_exceeds(value: Any, levels: int) -> bool:
    """Return whether arrays and objects nest deeper than `levels`; level by level, because recursion has a limit."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(levels):
        inner = (child for each in level for child in (each.values() if isinstance(each, dict) else each))
        level = [child for child in inner if isinstance(child, dict | list)]
    return bool(level)
