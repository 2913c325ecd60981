"""Connect accounts through Meta's OAuth dialog. An attempt is bound to the session that started it."""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from hmac import compare_digest

from app import clock, redis_client
from app.accounts import connect
from app.accounts.listing import ListedAccount
from app.calls import oauth_flow
from app.db.types import digest
from app.errors import Invalid, NotFound, Unavailable
from app.instagram.errors import GraphAPIError
from app.models.account import Login
from app.redis_client import RedisUnavailable
from app.viewer import Role, Viewer

PATIENCE = timedelta(minutes=10)  # for the dialog at Meta
CODE_CHARACTERS = 2_000
STALE = "This sign-in link has expired or was already used. No account was connected. Start again."
DENIED = "No account was connected: access was declined at Meta."


@dataclass(frozen=True, slots=True)
class AuthorizationAttempt:
    """A started authorization: the login, the `state` that Meta must return, and the start (Unix time)."""

    login: str
    state: str
    began: int


def available_logins() -> tuple[str, ...]:
    """Return the logins with an OAuth dialog, for which this installation has a Meta app."""
    return tuple(login.value for login in oauth_flow.available_logins())


def begin(viewer: Viewer, login: str, *, back_url: str) -> tuple[str, AuthorizationAttempt]:
    """Return the URL of Meta's dialog, and the attempt that the session must keep; for admins.

    Raises NotFound for an unknown login.
    """
    viewer.require(Role.ADMIN)
    if login not in set(Login):
        raise NotFound("login")
    attempt = AuthorizationAttempt(login, secrets.token_urlsafe(24), int(clock.now().timestamp()))
    return oauth_flow.authorize_url(Login(login), back_url=back_url, state=attempt.state), attempt


def finish(
    viewer: Viewer, attempt: AuthorizationAttempt | None, *, login: str, state: str, code: str, back_url: str
) -> list[ListedAccount]:
    """Connect the accounts that the owner authorized; for admins. An empty `code` means that access was declined.

    Raises Invalid when `state` does not match `attempt` or Meta returns no access token, Unavailable while Meta or
    Redis is unavailable.
    """
    viewer.require(Role.ADMIN)
    if attempt is None or not _matches(attempt, login, state) or not _is_first_use(attempt):
        raise Invalid({"state": STALE})
    if not 0 < len(code) <= CODE_CHARACTERS:
        raise Invalid({"code": DENIED})
    try:
        found = oauth_flow.redeem(Login(login), code, back_url=back_url)
    except GraphAPIError as failure:
        raise Invalid({"code": connect.describe_failure(failure)}) from failure
    return [connect.connect_authorized(viewer, Login(login), each) for each in found]


def _matches(attempt: AuthorizationAttempt, login: str, state: str) -> bool:
    age = clock.now() - clock.from_timestamp(attempt.began)
    same = compare_digest(attempt.state.encode(), state.encode())
    return same and attempt.login == login and timedelta(0) <= age + timedelta(seconds=1) and age <= PATIENCE


def _is_first_use(attempt: AuthorizationAttempt) -> bool:
    # The cookie with the attempt could be sent twice; Redis remembers it for as long as it is valid.
    key = f"nametag:consent:{digest(attempt.state).hex()}"
    try:
        return bool(redis_client.client().set(key, 1, nx=True, ex=int(PATIENCE.total_seconds()) + 60))
    except RedisUnavailable:
        raise Unavailable("Redis") from None
