"""Rate limits per account, usage headers, and the log of calls."""

import json
import time
from typing import Any

from app.sandbox import errors
from app.sandbox.accounts import Account
from app.sandbox.errors import error
from app.sandbox.graph import Answer, GraphRequest, Route
from app.sandbox.world import Call, World

USAGE_AFTER_CALLS = 3


def limited(world: World, route: Route) -> Answer | None:
    """Return the error for a call over the account's rate limit, or None."""
    if route.account is None or route.kind not in ("profile", "conversations"):
        return None
    if world.within_limit(route.account, route.kind):
        return None
    return error("613" if route.kind == "conversations" else "80002")


def usage_headers(world: World, account: Account | None, *, over: bool) -> dict[str, str]:
    """Return the usage headers of a response; none for the first calls."""
    if account is None or len(world.calls) < USAGE_AFTER_CALLS:
        return {}
    percent = 100 if over else world.used_percent(account)
    regain = world.minutes_to_regain(account) if over else 0
    usage = {"call_count": percent, "total_cputime": percent // 3, "total_time": percent // 2}
    entry = {"type": "instagram", **usage, "estimated_time_to_regain_access": regain}
    business = account.page_id or account.id
    return {
        "X-App-Usage": json.dumps(dict.fromkeys(usage, min(percent // 4, 70))),
        "X-Business-Use-Case-Usage": json.dumps({business: [entry]}),
    }


def note(
    world: World, request: GraphRequest, route: Route, status: int, body: dict[str, Any] | None, *, over: bool
) -> None:
    """Add one call to the log."""
    account = route.account.id if route.account else None
    code = errors.code_of(body)
    world.calls.append(Call(time.time(), account, route.kind, route.id, status, code, over, request.token_in_query))
