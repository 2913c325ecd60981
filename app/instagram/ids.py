"""Meta's IDs: strings in Nametag, JSON numbers in some of Meta's responses and deliveries."""

import re

ID = re.compile(r"[0-9A-Za-z_.:-]{1,64}", re.ASCII)
NUMBERS = range(2**63)  # a larger one was rounded by a client


def ig_id(value: object) -> str | None:
    """Return one of Meta's IDs as a string, also from a whole number below 2^63; None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if value in NUMBERS else None
    return value if isinstance(value, str) and ID.fullmatch(value) else None
