"""Signing in at an OpenID provider, where one is configured: authorization code with PKCE, state and nonce.

Authlib, of the extra `oidc`, speaks the protocol; it is loaded only where it is wanted.
"""

import importlib
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from flask import Blueprint, Flask, Response, copy_current_request_context, current_app, request
from flask import session as cookie

from app import settings
from app.errors import NotFound
from app.users import rates, sign_in
from app.web import hosts, page, session

logger = logging.getLogger(__name__)

NAME = "oidc"
NEXT = "oidc_next"  # in the cookie: where to go afterwards
TRIES = 60  # a minute and address; each may cost a call
SECONDS = 5.0  # in all, and somebody waits for it
REFUSED = "Single sign-on did not work. Please start again, or ask an admin whether you may sign in."

blueprint = Blueprint("oidc", __name__, url_prefix="/login/oidc")


def connect(app: Flask) -> None:
    """Open the door in `app`; without a provider in the settings it leads nowhere."""
    app.register_blueprint(blueprint)
    chosen = settings.current()
    if not chosen.oidc_issuer:
        return
    registry = importlib.import_module("authlib.integrations.flask_client").OAuth(app)
    registry.register(
        NAME,
        client_cls=_straight(registry.oauth2_client_cls),
        client_id=chosen.oidc_client_id,
        client_secret=chosen.oidc_client_secret,
        server_metadata_url=f"{chosen.oidc_issuer.rstrip('/')}/.well-known/openid-configuration",
        client_kwargs={"scope": "openid email", "code_challenge_method": "S256", "default_timeout": SECONDS},
    )
    app.extensions[NAME] = registry.create_client(NAME)


@blueprint.before_request
def pace() -> Response | None:
    """Keep who tries too often waiting: each try holds a thread while the provider is asked."""
    if not rates.count(f"oidc:{request.remote_addr}", TRIES).exceeded:
        return None
    return session.refused(429, "Too many tries. Try again in a minute.")


@blueprint.get("")
def begin() -> Response:
    """Lead a visitor to the provider; nothing is changed but the cookie."""
    provider = _provider()
    cookie.clear()  # one attempt at a time
    cookie[NEXT] = session.safe_next(request.args.get("next"))
    back = hosts.external_url("oidc.finish")
    try:
        asked: Response = _in_time(lambda: provider.authorize_redirect(back))
    except Exception as error:  # whatever a provider's description lacks
        return _failed(error)
    return page.to(asked.location)


@blueprint.get("/back")
def finish() -> Response:
    """Where the provider sends a visitor back: signs in who they are, for the state in the cookie, once."""
    provider, chosen = _provider(), settings.current()
    expected = {"iss": chosen.oidc_issuer, "aud": chosen.oidc_client_id}
    exactly = {claim: {"essential": True, "value": value} for claim, value in expected.items()}
    wanted = session.safe_next(cookie.get(NEXT))
    try:
        told = _in_time(lambda: provider.authorize_access_token(claims_options=exactly))["userinfo"]
    except Exception as error:  # a wrong state, nonce, signature or answer, or none: all read the same from outside
        return _failed(error)
    email = told.get("email") if told.get("email_verified") is True else None
    person = sign_in.vouched(str(email or ""), address=request.remote_addr or "")
    if person is None:
        return _failed(None)
    session.start(person)
    return page.to(wanted)


def _straight(client: Any) -> Any:
    class Session(client.client_cls):  # type: ignore[misc]  # Authlib is untyped, and loaded by name
        def request(self, *args: Any, **options: Any) -> Any:
            return super().request(*args, **options | {"allow_redirects": False})

    return type("StraightClient", (client,), {"client_cls": Session})


def _in_time(ask: Callable[[], Any]) -> Any:
    # Authlib's own timeout is one of silence; a provider that drips would hold the web server's thread for ever.
    told: Future[Any] = Future()

    @copy_current_request_context
    def tell() -> None:
        try:
            told.set_result(ask())
        except Exception as error:
            told.set_exception(error)

    threading.Thread(target=tell, daemon=True).start()
    return told.result(SECONDS)


def _provider() -> Any:
    provider = current_app.extensions.get(NAME)
    if provider is None:
        raise NotFound("page")
    return provider


def _failed(error: Exception | None) -> Response:
    cookie.clear()
    if error is not None:
        logger.warning("Single sign-on failed: %s", type(error).__name__)  # its text may quote what was sent
    return session.refused(401, REFUSED)
