"""IDs of Meta's: strings everywhere in Nametag, JSON numbers in some of Meta's answers and deliveries."""

import re

ID = re.compile(r"[0-9A-Za-z_.:-]{1,64}", re.ASCII)
NUMBERS = range(2**63)  # a larger one was rounded somewhere


def ig_id(value: object) -> str | None:
    """Return an ID of Meta's as a string, also where it comes as a whole number below 2^63; None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if value in NUMBERS else None
    return value if isinstance(value, str) and ID.fullmatch(value) else None
