"""Connecting by consent at Meta: the way there, bound to the session that began it, and what it brings back."""

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
from app.models.inbox import Login
from app.redis_client import RedisUnavailable
from app.viewer import Role, Viewer

PATIENCE = timedelta(minutes=10)  # how long a consent may take
CODE_CHARACTERS = 2_000
STALE = "This did not begin here, was used before or took longer than ten minutes. Nothing was connected; start again."
DENIED = "Nothing was connected: the consent was declined at Meta."


@dataclass(frozen=True, slots=True)
class AuthorizationAttempt:
    """A way to Meta that was begun: the login, the word that must come back, and when (Unix time)."""

    login: str
    state: str
    began: int


def available_logins() -> tuple[str, ...]:
    """Return the logins by which accounts can be connected with a click, as this installation has an app for them."""
    return tuple(login.value for login in oauth_flow.available_logins())


def begin(viewer: Viewer, login: str, *, back_url: str) -> tuple[str, AuthorizationAttempt]:
    """Return where an account's owner agrees, and what the session must keep; for admins. Raises NotFound."""
    viewer.require(Role.ADMIN)
    if login not in set(Login):
        raise NotFound("login")
    attempt = AuthorizationAttempt(login, secrets.token_urlsafe(24), int(clock.now().timestamp()))
    return oauth_flow.authorize_url(Login(login), back_url=back_url, state=attempt.state), attempt


def finish(
    viewer: Viewer, attempt: AuthorizationAttempt | None, *, login: str, state: str, code: str, back_url: str
) -> list[ListedAccount]:
    """Connect what a consent brought; for admins. Without a code it was declined.

    Raises Invalid when `attempt` is not the one that `state` comes from, or Meta gives no token; Unavailable when Meta
    does not answer or nobody can say whether `state` was used before.
    """
    viewer.require(Role.ADMIN)
    if attempt is None or not _fits(attempt, login, state) or not _first(attempt):
        raise Invalid({"state": STALE})
    if not 0 < len(code) <= CODE_CHARACTERS:
        raise Invalid({"code": DENIED})
    try:
        found = oauth_flow.redeem(Login(login), code, back_url=back_url)
    except GraphAPIError as failure:
        raise Invalid({"code": connect.describe_failure(failure)}) from failure
    return [connect.connect_authorized(viewer, Login(login), each) for each in found]


def _fits(attempt: AuthorizationAttempt, login: str, state: str) -> bool:
    age = clock.now() - clock.from_timestamp(attempt.began)
    same = compare_digest(attempt.state.encode(), state.encode())
    return same and attempt.login == login and timedelta(0) <= age + timedelta(seconds=1) and age <= PATIENCE


def _first(attempt: AuthorizationAttempt) -> bool:
    # The cookie that holds the attempt could be sent twice; Redis remembers for as long as it could be of use.
    key = f"nametag:consent:{digest(attempt.state).hex()}"
    try:
        return bool(redis_client.client().set(key, 1, nx=True, ex=int(PATIENCE.total_seconds()) + 60))
    except RedisUnavailable:
        raise Unavailable("memory of used consents (Redis)") from None
