"""OAuth at Meta: authorization URLs, code exchange, token refresh (docs/meta-platform.md#access-tokens)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from app import clock
from app.instagram import errors, http, json_fields
from app.instagram.credential import TOKEN, Credential
from app.instagram.errors import GraphAPIError, Reason, Scope
from app.instagram.http import HttpResponse

INSTAGRAM_PERMISSIONS = ("instagram_business_basic", "instagram_business_manage_messages")
FACEBOOK_PERMISSIONS = (
    *("instagram_basic", "instagram_manage_messages"),
    *("pages_manage_metadata", "pages_messaging", "pages_read_engagement", "pages_show_list"),
)  # docs/meta-platform.md#login-types; a subscription to a Page's messages needs pages_messaging
UNIFIED_PERMISSIONS = ("instagram_basic", "instagram_manage_messages")  # docs/meta-platform.md#login-types
REFUSED = (
    "Meta did not issue a token: the authorization code was already used or has expired, or the app ID and app secret "
    "do not match. Start again"
)
SECONDS = 8.0  # a user waits for the page
MOST_BYTES = 64 * 1024
LONGEST_SECONDS = 10 * 365 * 86_400  # a longer `expires_in` is ignored


@dataclass(frozen=True, slots=True)
class App:
    """A Meta app for one login type; `host_url` is the Graph host, from which the other hosts are derived."""

    host_url: str
    version: str
    id: str
    secret: str = field(repr=False)

    def host(self, name: str) -> str:
        """Return the base URL of Meta's host "www" or "api"; the sandbox has one host for all."""
        return self.host_url.replace("://graph.", f"://{name}.", 1)


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """An access token from Meta; `expires_at` is aware UTC or None (does not expire), `permissions` None if unknown."""

    value: str = field(repr=False)
    expires_at: datetime | None
    permissions: tuple[str, ...] | None = None


def instagram_authorize_url(app: App, *, back_url: str, state: str) -> str:
    """Return the URL at Instagram where the account owner authorizes the app; it redirects to `back_url`."""
    return f"{app.host('www')}/oauth/authorize?{_authorize_query(app, INSTAGRAM_PERMISSIONS, back_url, state)}"


def facebook_authorize_url(app: App, *, back_url: str, state: str) -> str:
    """Return the URL at Facebook where the owner of Pages authorizes the app; it redirects to `back_url`."""
    return (
        f"{app.host('www')}/{app.version}/dialog/oauth?{_authorize_query(app, FACEBOOK_PERMISSIONS, back_url, state)}"
    )


def instagram_token(app: App, *, code: str, back_url: str) -> IssuedToken:
    """Exchange the code sent to `back_url` for an account's token of 60 days; raises GraphAPIError."""
    given = _exchange_code(f"{app.host('api')}/oauth/access_token", app, code, back_url)
    short = (
        next(iter(json_fields.required_objects(given, "data")), {}) if "data" in given else given
    )  # both shapes occur
    # Meta documents this call only with the secret and token in the URL.
    query = {
        "grant_type": "ig_exchange_token",
        "client_secret": app.secret,
        "access_token": json_fields.required_text(short, "access_token"),
    }
    lasting = _body_of(http.get(f"{app.host_url}/access_token", parameters=query, headers={}, **_LIMITS))
    return _issued_token(lasting, permissions=_permissions(short))


def facebook_token(app: App, *, code: str, back_url: str) -> IssuedToken:
    """Exchange the code sent to `back_url` for a user's token of 60 days; raises GraphAPIError."""
    return exchange_for_long_lived(
        app, json_fields.required_text(_exchange_code(_facebook_exchange(app), app, code, back_url), "access_token")
    )


def exchange_for_long_lived(app: App, token: str) -> IssuedToken:
    """Exchange any user token of Facebook Login for one of 60 days; raises GraphAPIError."""
    form = {"grant_type": "fb_exchange_token", "client_id": app.id, "client_secret": app.secret}
    return _issued_token(_post(_facebook_exchange(app), form | {"fb_exchange_token": token}))


def refresh_long_lived(credential: Credential) -> IssuedToken:
    """Return a new token of 60 days for an Instagram Login token at least 24 hours old; raises GraphAPIError."""
    # Meta documents this call only with the token in the URL.
    query = {"grant_type": "ig_refresh_token", "access_token": credential.token}
    url = f"{credential.host_url}/refresh_access_token"
    return _issued_token(_body_of(http.get(url, parameters=query, headers={}, **_LIMITS)))


_LIMITS: Any = {"seconds": SECONDS, "most_bytes": MOST_BYTES}


def _authorize_query(app: App, permissions: tuple[str, ...], back_url: str, state: str) -> str:
    query = {"client_id": app.id, "redirect_uri": back_url, "response_type": "code", "scope": ",".join(permissions)}
    return urlencode(query | {"state": state})


def _facebook_exchange(app: App) -> str:
    return f"{app.host_url}/{app.version}/oauth/access_token"


def _exchange_code(url: str, app: App, code: str, back_url: str) -> Mapping[str, Any]:
    form = {"client_id": app.id, "client_secret": app.secret, "grant_type": "authorization_code"}
    try:
        return _post(url, form | {"redirect_uri": back_url, "code": code.removesuffix("#_")})
    except GraphAPIError as failure:
        if failure.scope is Scope.NETWORK:
            raise
        status = failure.http_status
        raise GraphAPIError(Scope.ACCOUNT, Reason.TOKEN, failure.code, REFUSED, http_status=status) from None


def _post(url: str, form: Mapping[str, str]) -> Mapping[str, Any]:
    return _body_of(http.post(url, parameters={}, headers={}, form=form, **_LIMITS))


def _body_of(answer: HttpResponse) -> Mapping[str, Any]:
    body = json_fields.load_object(answer.body)
    if answer.http_status == 200 and body is not None and not {"error", "error_type"} & body.keys():
        return body
    if body is not None and "error_type" in body:  # docs/meta-platform.md#errors: without an error object
        raise GraphAPIError(Scope.ACCOUNT, Reason.TOKEN, "oauth", REFUSED, http_status=answer.http_status)
    raise errors.classify(answer.http_status, body, answer.headers, now=clock.now(), about_contact=False)


def _issued_token(body: Mapping[str, Any], *, permissions: tuple[str, ...] | None = None) -> IssuedToken:
    token, life = json_fields.required_text(body, "access_token"), body.get("expires_in")
    if not TOKEN.fullmatch(token):
        raise errors.bad_response("types")
    known = isinstance(life, int) and not isinstance(life, bool) and 0 < life < LONGEST_SECONDS
    return IssuedToken(token, clock.now() + timedelta(seconds=life) if known and life else None, permissions)


def _permissions(body: Mapping[str, Any]) -> tuple[str, ...] | None:
    granted = body.get("permissions")
    listed = granted.split(",") if isinstance(granted, str) else granted
    if not isinstance(listed, list):
        return None
    return tuple(sorted({each for each in listed if isinstance(each, str) and each in INSTAGRAM_PERMISSIONS}))
