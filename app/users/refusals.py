"""Record refused attempts in the audit log, within bounds, so that refused attempts cannot fill the table.

The same attempt (user, action, subject, route and IP address) gets one row in ten minutes. Each user and API token gets
120 rows per hour, and all visitors who are not signed in share 120.
"""

import hashlib
import logging
import re

from app import audit
from app.audit import Action
from app.errors import Unavailable
from app.users import rate_limit
from app.viewer import Viewer

logger = logging.getLogger(__name__)

REPEAT_SECONDS = 600
ROWS, ROWS_SECONDS = 120, 3600
ROUTE_CHARACTERS = 120
_CONVERTER = re.compile(r"<[^<>]*:(\w+)>")


def record(viewer: Viewer, action: Action, subject: str | None = None, *, address: str, route: str | None) -> None:
    """Record that `viewer` was refused, unless the bounds are reached. Never raises for an unavailable database."""
    attempt = "\n".join((viewer.actor, action, subject or "", route or "", address))
    digest = hashlib.blake2s(attempt.encode("utf-8", "replace"), digest_size=12).hexdigest()
    if rate_limit.count_call(f"refused:{digest}", 1, REPEAT_SECONDS).exceeded:
        return
    rows = rate_limit.count_call(f"refused:{viewer.actor}", ROWS, ROWS_SECONDS)
    if rows.exceeded:
        if rows.used == ROWS + 1:
            logger.warning(
                "refused attempts not recorded until the hour ends: limit reached", extra={"actor": viewer.actor}
            )
        return
    try:
        audit.record(viewer, action, subject, address=address, route=route)
    except Unavailable:
        logger.warning("refused attempt not recorded: database unavailable", extra={"actor": viewer.actor})


def record_response(viewer: Viewer, status: int, *, address: str, route: str) -> None:
    """Record a response that refused `viewer`: 403, and 404 for a signed-in viewer with limited account access.

    To such a viewer, data they may not see looks like data that does not exist, so that a 404 may mean either.
    """
    signed_in = viewer.user_id is not None or viewer.token_id is not None
    if status == 403:
        record(viewer, Action.ACCESS_REFUSED, address=address, route=route)
    elif status == 404 and signed_in and not viewer.sees_all:
        record(viewer, Action.DATA_NOT_VISIBLE, address=address, route=route)


def route_of(method: str, rule: str) -> str:
    """Return method and path of a URL rule without its converters: "GET /inbox/<conversation_id>"."""
    path = _CONVERTER.sub(r"<\1>", rule)
    return f"{method} {path}"[:ROUTE_CHARACTERS]
