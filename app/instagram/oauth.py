"""Signing in with Meta: where consent is asked for, and what a code and a token become (instagram-platform.md 11)."""

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
)  # docs/meta-platform.md 1; without pages_messaging a Page's messages cannot be subscribed to
UNIFIED_PERMISSIONS = ("instagram_basic", "instagram_manage_messages")  # docs/meta-platform.md 1
REFUSED = (
    "Meta gave no token: what its page answered was used before or is over an hour old, or app id and secret do not "
    "belong together; start again"
)
SECONDS = 8.0  # somebody waits for it
MOST_BYTES = 64 * 1024
LONGEST_SECONDS = 10 * 365 * 86_400  # what a life may be said to be; anything else is not one


@dataclass(frozen=True, slots=True)
class App:
    """An app at Meta under one of the two logins; `host_url` is the Graph host, after which its others are named."""

    host_url: str
    version: str
    id: str
    secret: str = field(repr=False)

    def host(self, name: str) -> str:
        """Return the base URL of a sister of the Graph host: "www", "api" (a sandbox has one for all)."""
        return self.host_url.replace("://graph.", f"://{name}.", 1)


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token that Meta gave; `expires_at` is aware UTC, None for one that does not expire, `permissions` if told."""

    value: str = field(repr=False)
    expires_at: datetime | None
    permissions: tuple[str, ...] | None = None


def instagram_authorize_url(app: App, *, back_url: str, state: str) -> str:
    """Return the address at Instagram where an account's owner agrees, and is sent to `back_url` from."""
    return f"{app.host('www')}/oauth/authorize?{_asking(app, INSTAGRAM_PERMISSIONS, back_url, state)}"


def facebook_authorize_url(app: App, *, back_url: str, state: str) -> str:
    """Return the address at Facebook where the owner of Pages agrees, and is sent to `back_url` from."""
    return f"{app.host('www')}/{app.version}/dialog/oauth?{_asking(app, FACEBOOK_PERMISSIONS, back_url, state)}"


def instagram_token(app: App, *, code: str, back_url: str) -> IssuedToken:
    """Return an account's token of 60 days for the code that came to `back_url`; raises GraphAPIError."""
    given = _redeemed(f"{app.host('api')}/oauth/access_token", app, code, back_url)
    short = (
        next(iter(json_fields.required_objects(given, "data")), {}) if "data" in given else given
    )  # documented and seen
    # Documented with secret and token in the address, and with nothing else (reliability.md S39).
    asked = {
        "grant_type": "ig_exchange_token",
        "client_secret": app.secret,
        "access_token": json_fields.required_text(short, "access_token"),
    }
    lasting = _classified(http.get(f"{app.host_url}/access_token", parameters=asked, headers={}, **_LIMITS))
    return _given(lasting, permissions=_permissions(short))


def facebook_token(app: App, *, code: str, back_url: str) -> IssuedToken:
    """Return a user's token of 60 days for the code that came to `back_url`; raises GraphAPIError."""
    return exchange_for_long_lived(
        app, json_fields.required_text(_redeemed(_facebook_exchange(app), app, code, back_url), "access_token")
    )


def exchange_for_long_lived(app: App, token: str) -> IssuedToken:
    """Return a user's token of 60 days for any user token of Facebook Login; raises GraphAPIError."""
    form = {"grant_type": "fb_exchange_token", "client_id": app.id, "client_secret": app.secret}
    return _given(_posted(_facebook_exchange(app), form | {"fb_exchange_token": token}))


def refresh_long_lived(credential: Credential) -> IssuedToken:
    """Return 60 more days for an Instagram Login token that is at least 24 hours old; raises GraphAPIError."""
    # Documented with the token in the address, and with nothing else (reliability.md S39).
    asked = {"grant_type": "ig_refresh_token", "access_token": credential.token}
    address = f"{credential.host_url}/refresh_access_token"
    return _given(_classified(http.get(address, parameters=asked, headers={}, **_LIMITS)))


_LIMITS: Any = {"seconds": SECONDS, "most_bytes": MOST_BYTES}


def _asking(app: App, permissions: tuple[str, ...], back_url: str, state: str) -> str:
    asked = {"client_id": app.id, "redirect_uri": back_url, "response_type": "code", "scope": ",".join(permissions)}
    return urlencode(asked | {"state": state})


def _facebook_exchange(app: App) -> str:
    return f"{app.host_url}/{app.version}/oauth/access_token"


def _redeemed(address: str, app: App, code: str, back_url: str) -> Mapping[str, Any]:
    form = {"client_id": app.id, "client_secret": app.secret, "grant_type": "authorization_code"}
    try:
        return _posted(address, form | {"redirect_uri": back_url, "code": code.removesuffix("#_")})
    except GraphAPIError as failure:
        if failure.scope is Scope.NETWORK:
            raise
        status = failure.http_status
        raise GraphAPIError(Scope.ACCOUNT, Reason.TOKEN, failure.code, REFUSED, http_status=status) from None


def _posted(address: str, form: Mapping[str, str]) -> Mapping[str, Any]:
    return _classified(http.post(address, parameters={}, headers={}, form=form, **_LIMITS))


def _classified(answer: HttpResponse) -> Mapping[str, Any]:
    body = json_fields.load_object(answer.body)
    if answer.http_status == 200 and body is not None and not {"error", "error_type"} & body.keys():
        return body
    if body is not None and "error_type" in body:  # instagram-platform.md 9: a shape of its own
        raise GraphAPIError(Scope.ACCOUNT, Reason.TOKEN, "oauth", REFUSED, http_status=answer.http_status)
    raise errors.classify(answer.http_status, body, answer.headers, now=clock.now(), of_person=False)


def _given(body: Mapping[str, Any], *, permissions: tuple[str, ...] | None = None) -> IssuedToken:
    token, life = json_fields.required_text(body, "access_token"), body.get("expires_in")
    if not TOKEN.fullmatch(token):
        raise errors.bad_response("types")
    told = isinstance(life, int) and not isinstance(life, bool) and 0 < life < LONGEST_SECONDS
    return IssuedToken(token, clock.now() + timedelta(seconds=life) if told and life else None, permissions)


def _permissions(body: Mapping[str, Any]) -> tuple[str, ...] | None:
    told = body.get("permissions")
    listed = told.split(",") if isinstance(told, str) else told
    if not isinstance(listed, list):
        return None
    return tuple(sorted({each for each in listed if isinstance(each, str) and each in INSTAGRAM_PERMISSIONS}))
