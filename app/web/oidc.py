"""Single sign-on with an OpenID Connect provider: authorization code flow with PKCE, state and nonce.

Uses Authlib (extra `oidc`), which is imported only if a provider is configured.
"""

import importlib
import logging
import re
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

from flask import Blueprint, Flask, Response, copy_current_request_context, current_app, request
from flask import session as cookie
from flask_login import current_user

from app import settings
from app.audit import Action
from app.errors import NotFound
from app.users import rate_limit, refusals, sign_in
from app.viewer import STRANGER
from app.web import rendering, session, trusted_hosts

logger = logging.getLogger(__name__)

NAME = "oidc"
ATTEMPTS = 3  # simultaneous attempts of a browser
STATES = f"_state_{NAME}_"  # prefix of Authlib's keys for attempts in the cookie
MAX_ATTEMPTS = 60  # per minute and IP address; each may call the provider
SECONDS = 5.0  # for all calls to the provider in one request
REFUSED = "Single sign-on failed: {}"
STEPS = {
    "discovery": "can’t read the provider’s configuration. Try again in a minute, or ask an admin.",
    "authorization": "the provider refused. Start again, or ask an admin.",
    "state": "it was started in another browser or more than an hour ago. Start again.",
    "token": "the provider did not confirm who you are. Start again, or ask an admin.",
    "claim": "the claim “{}” of the provider is missing or not accepted. Ask an admin.",
    "userinfo": "can’t read the provider’s userinfo endpoint. Try again in a minute, or ask an admin.",
    "user": "no active user has your email address. Ask an admin to add you as a user.",
}
_CODE = re.compile(r"[a-z_]{1,40}", re.ASCII)  # an error code of OAuth

blueprint = Blueprint("oidc", __name__, url_prefix="/login/oidc")


class SignInRefused(Exception):
    """A sign-in failed at `step`, a key of STEPS; `claim` is the missing or wrong claim."""

    def __init__(self, step: str, claim: str | None = None) -> None:
        super().__init__(step)
        self.step = step
        self.claim = claim


def init_app(app: Flask) -> None:
    """Add the routes to `app`. Without a provider in the settings they return 404."""
    app.register_blueprint(blueprint)
    chosen = settings.current()
    if not chosen.oidc_issuer:
        return
    registry = importlib.import_module("authlib.integrations.flask_client").OAuth(app)
    registry.register(
        NAME,
        client_cls=_without_redirects(registry.oauth2_client_cls),
        client_id=chosen.oidc_client_id,
        client_secret=chosen.oidc_client_secret,
        server_metadata_url=f"{chosen.oidc_issuer.rstrip('/')}/.well-known/openid-configuration",
        client_kwargs={
            "scope": "openid email",
            "code_challenge_method": "S256",
            "default_timeout": SECONDS,
            "leeway": 0,  # or a new access token of 60 s, as Keycloak issues, counts as expired
        },
    )
    app.extensions[NAME] = registry.create_client(NAME)


@blueprint.before_request
def limit_rate() -> Response | None:
    """Refuse an IP address with too many attempts: each occupies a thread while it calls the provider."""
    address = request.remote_addr or ""
    if not rate_limit.count_call(f"oidc:{address}", MAX_ATTEMPTS).exceeded:
        return None
    sign_in.record_throttled(address, session.route())
    return session.refused(429, "Too many attempts. Try again in a minute.")


@blueprint.get("")
def begin() -> Response:
    """Redirect to the provider. A signed-in user stays signed in, because any site can link here."""
    provider, wanted = _provider(), session.safe_next(request.args.get("next"))
    if current_user.is_authenticated:
        return rendering.see_other(wanted)
    redirect_uri = trusted_hosts.external_url("oidc.finish")
    try:
        authorization = _in_time(lambda: provider.create_authorization_url(redirect_uri))
    except Exception as error:  # whatever the provider's configuration lacks
        return _failed(SignInRefused("discovery"), error)
    _drop_old_attempts(len(wanted))
    attempt = {name: authorization[name] for name in ("state", "nonce", "code_verifier")}
    provider.save_authorize_data(redirect_uri=redirect_uri, next=wanted, **attempt)
    return rendering.see_other(authorization["url"])


@blueprint.get("/back")
def finish() -> Response:
    """Sign in the user with the email address from the provider. Works once per attempt of this browser."""
    provider = _provider()
    attempt = provider.framework.get_state_data(cookie, request.args.get("state")) or {}
    wanted = session.safe_next(attempt.get("next"))
    if current_user.is_authenticated:  # in another tab in the meantime
        return rendering.see_other(wanted)
    if not attempt:
        return _failed(SignInRefused("state"))
    try:
        email = _verified_email(_in_time(lambda: _claims(provider)))
    except SignInRefused as refusal:
        return _failed(refusal, refusal.__cause__)
    except Exception as error:  # a wrong nonce, signature or response, or a timeout
        return _failed(_refusal_of(error), error)
    user = sign_in.sso_sign_in(email, address=request.remote_addr or "", route=session.route())
    if user is None:  # sso_sign_in has recorded it
        return _failed(SignInRefused("user"))
    session.start(user)
    return rendering.see_other(wanted)


def _drop_old_attempts(characters: int) -> None:
    # A browser drops a cookie over 4 KB: remove the oldest attempts, by their number and the length of their URLs.
    attempts = sorted((key for key in cookie if key.startswith(STATES)), key=lambda key: cookie[key]["exp"])
    lengths = [len(cookie[key]["data"]["next"]) for key in attempts]
    while len(lengths) >= ATTEMPTS or characters + sum(lengths) > session.NEXT_CHARACTERS:
        cookie.pop(attempts.pop(0))
        lengths.pop(0)


def _claims(provider: Any) -> Mapping[str, Any]:
    """Return the claims of the ID token, with those of the userinfo endpoint if claims are missing."""
    chosen = settings.current()
    issuer = chosen.oidc_issuer.rstrip("/")  # some providers' issuers end with a slash, which is easily lost
    exactly = {
        "iss": {"essential": True, "values": [issuer, f"{issuer}/"]},
        "aud": {"essential": True, "value": chosen.oidc_client_id},
    }
    token = provider.authorize_access_token(claims_options=exactly)
    claims: dict[str, Any] = token["userinfo"]
    if _has_email_claims(claims) or "userinfo_endpoint" not in provider.load_server_metadata():
        return claims
    try:
        more = provider.userinfo(token=token)
    except Exception as error:
        raise SignInRefused("userinfo") from error
    if more.get("sub") != claims["sub"]:
        raise SignInRefused("claim", "sub")
    return {**claims, **more}


def _has_email_claims(claims: Mapping[str, Any]) -> bool:
    chosen = settings.current()
    verified = chosen.oidc_trust_email or any(each in claims for each in chosen.oidc_verified_claims)
    return verified and "email" in claims


def _verified_email(claims: Mapping[str, Any]) -> str:
    """Return the email address that the provider verified. Raises SignInRefused with the missing or wrong claim."""
    chosen = settings.current()
    email = claims.get("email")
    if not email or not isinstance(email, str):
        raise SignInRefused("claim", "email")
    given = next((each for each in chosen.oidc_verified_claims if each in claims), None)
    if given is None and chosen.oidc_trust_email:
        return email
    if given is None or str(claims[given]).lower() not in ("true", "1"):  # some send text or a number
        raise SignInRefused("claim", given or chosen.oidc_verified_claims[0])
    return email


def _without_redirects(client: Any) -> Any:
    class Session(client.client_cls):  # type: ignore[misc]  # Authlib is untyped, and loaded by name
        def request(self, *args: Any, **options: Any) -> Any:
            return super().request(*args, **options | {"allow_redirects": False})

    return type("ClientWithoutRedirects", (client,), {"client_cls": Session})


def _in_time(call: Callable[[], Any]) -> Any:
    # Authlib's own timeout applies per read: a slow provider would block the thread of the web server for ever.
    result: Future[Any] = Future()

    @copy_current_request_context
    def run() -> None:
        try:
            result.set_result(call())
        except Exception as error:
            result.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return result.result(SECONDS)


def _provider() -> Any:
    provider = current_app.extensions.get(NAME)
    if provider is None:
        raise NotFound("page")
    return provider


def _refusal_of(error: Exception) -> SignInRefused:
    claim = getattr(error, "claim", None)  # of joserfc's errors about claims
    if claim:
        return SignInRefused("claim", claim)
    return SignInRefused("authorization" if "error" in request.args else "token")


def _failed(refusal: SignInRefused, cause: BaseException | None = None) -> Response:
    code = getattr(cause, "error", None) or ""  # not its text, which may quote input
    logger.warning(
        "single sign-on refused",
        extra={
            "step": refusal.step,
            "claim": refusal.claim,
            "error": type(cause).__name__ if cause else None,
            "code": code if _CODE.fullmatch(str(code)) else None,
        },
    )
    if refusal.step != "user":
        subject = f"claim {refusal.claim}" if refusal.claim else f"step {refusal.step}"
        address = request.remote_addr or ""
        refusals.record(STRANGER, Action.SIGN_IN_FAILED, subject[:80], address=address, route=session.route())
    return session.refused(401, REFUSED.format(STEPS[refusal.step].format(refusal.claim)))
