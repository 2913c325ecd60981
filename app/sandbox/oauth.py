"""OAuth: the authorization page, code and token exchange, token refresh and inspection, and Pages."""

import secrets
import time
from dataclasses import replace
from html import escape
from typing import Any
from urllib.parse import urlencode, urlsplit

from app.sandbox import graph
from app.sandbox.accounts import APP_ID, APP_SECRET, BY_LOGIN, Account
from app.sandbox.control import LOOPBACK
from app.sandbox.errors import error
from app.sandbox.graph import Answer, GraphRequest, Route
from app.sandbox.world import Token, World

PAGES = (("oauth", "authorize"), ("dialog", "oauth"))
LIFE_SECONDS = 5_183_944
YOUNG_SECONDS = 24 * 3600  # a token must be this old to be refreshed
NAMES = {"instagram": "Instagram", "facebook": "Facebook"}
USER_WITHOUT_PAGE = "24900000000000999"  # has no Page with a linked Instagram account
NO_PAGE_OF_ITS_OWN = {"id": "104000000000999", "name": "A Page without Instagram", "access_token": "EAAsandboxBarePage"}


def consent(world: World, host: str, query: dict[str, str]) -> tuple[int, str, dict[str, str]]:
    """Return status, body and headers of the authorization page, or the redirect after a choice."""
    back, html = query.get("redirect_uri", ""), {"Content-Type": "text/html; charset=utf-8"}
    if query.get("client_id") != APP_ID or urlsplit(back).hostname not in LOOPBACK:
        return 400, "<!doctype html><title>Sandbox</title><p>Invalid client_id or redirect_uri.", html
    choice = query.get("choice")
    if choice is None:
        return 200, _page(host, query), html
    if choice == "deny":
        refused = {"error": "access_denied", "error_reason": "user_denied", "error_description": "The user denied."}
        return 302, "", {"Location": f"{back}?{urlencode(refused | {'state': query.get('state', '')})}"}
    code = secrets.token_urlsafe(24)
    asked = tuple(query.get("scope", "").split(","))
    permissions = asked[:-1] if choice == "less" else asked
    kind = "user" if host == "facebook" else "account"
    world.codes[code] = Token(None if choice == "bare" else BY_LOGIN[host], time.time(), permissions, kind)
    found = urlencode({"code": code, "state": query.get("state", "")})
    return 302, "", {"Location": f"{back}?{found}#_"}


def route(world: World, request: GraphRequest) -> Route | None:
    """Return the route of a call about tokens, None for other calls."""
    known = world.tokens.get(request.token or "")
    account = known.account if known else None
    given = request.query | {name: str(value) for name, value in request.body.items()}
    match request.host, request.path:
        case ("instagram", ("oauth", "access_token")):
            return Route("exchange", None, None, lambda: _short(world, given))
        case ("instagram", ("access_token",)):
            return Route("exchange", account, None, lambda: _long(world, request.token or "", given))
        case ("instagram", ("refresh_access_token",)):
            return Route("refresh", account, None, lambda: _refreshed(world, request.token or "", known))
        case ("facebook", ("oauth", "access_token")):
            return Route("exchange", None, None, lambda: _facebook(world, given))
        case ("facebook", ("debug_token",)):
            return Route("debug_token", None, None, lambda: _debugged(world, request))
        case ("facebook", ("me", "accounts" | "permissions" as what)) if known:
            return Route(what, None, None, lambda: _of_user(world, known, what, request))
        case ("facebook", (page_id,)) if known and account and known.kind != "account" and page_id == account.page_id:
            return Route("page", None, None, lambda: _page_by_id(world, account, request))
    return None


def _short(world: World, given: dict[str, str]) -> Answer:
    token = world.codes.pop(given.get("code", ""), None) if _is_app(given) else None
    if token is None or token.account is None:
        sentence = "Matching code was not found or was already used"
        return 400, {"error_type": "OAuthException", "code": 400, "error_message": sentence}
    short, owner_id = _new_token(world, "IGAAsandboxShort", token), token.account.app_scoped_id
    if not world.choices.wrapped:
        return 200, {"access_token": short, "user_id": int(owner_id), "permissions": list(token.permissions)}
    found = {"access_token": short, "user_id": owner_id, "permissions": ",".join(token.permissions)}
    return 200, {"data": [found]}


def _long(world: World, short: str, given: dict[str, str]) -> Answer:
    token = world.tokens.get(short)
    if token is None or given.get("client_secret") != APP_SECRET or given.get("grant_type") != "ig_exchange_token":
        return error("190-wrong-host")
    return _token_response(world, "IGAAsandboxLong", token)


def _refreshed(world: World, old: str, token: Token | None) -> Answer:
    if token is None or token.account is None or token.account.login != "instagram":
        return error("190-wrong-host" if old else "190")
    if time.time() - token.at < YOUNG_SECONDS:
        return error("100", "(#100) The access token must be at least 24 hours old")
    return _token_response(world, "IGAAsandboxFresh", token)


def _facebook(world: World, given: dict[str, str]) -> Answer:
    if given.get("grant_type") == "fb_exchange_token":
        token = world.tokens.get(given.get("fb_exchange_token", ""))
    else:
        token = world.codes.pop(given.get("code", ""), None)
    if token is None or token.kind != "user" or not _is_app(given):
        return error("100", "This authorization code has been used.")
    return _token_response(world, "EAAsandboxUser", token)


def _of_user(world: World, token: Token, what: str, request: GraphRequest) -> Answer:
    if not graph.is_proved(request):
        return error("100-proof")
    if what == "permissions":
        return 200, {"data": [{"permission": each, "status": "granted"} for each in token.permissions]}
    if world.choices.pages != "listed":
        return 200, {"data": []}
    bare = [] if token.kind == "system_user" else [NO_PAGE_OF_ITS_OWN]
    pages = [*bare, *([_owned(world, token.account)] if token.account else [])]
    return 200, {"data": pages, "paging": {"cursors": {"before": "a", "after": "b"}}}


def _page_by_id(world: World, account: Account, request: GraphRequest) -> Answer:
    if not graph.is_proved(request):
        return error("100-proof")
    return error("100-33") if world.choices.pages == "none" else (200, _owned(world, account))


def _owned(world: World, account: Account) -> dict[str, Any]:
    business = graph.numbered(world, {"id": account.id, "username": account.username})
    page = {"id": account.page_id, "name": account.username, "access_token": account.token}
    return graph.numbered(world, page) | {"instagram_business_account": business}


def _debugged(world: World, request: GraphRequest) -> Answer:
    token = world.tokens.get(request.query.get("input_token", ""))
    if not graph.is_proved(request):
        return error("100-proof")
    if token is None or request.token not in (f"{APP_ID}|{APP_SECRET}", request.query.get("input_token")):
        return error("190")
    granular = []
    if token.account:
        scopes = {*token.permissions, *(["pages_show_list"] if world.choices.pages != "none" else [])}
        ids = {"instagram": token.account.id, "pages": token.account.page_id}
        granular = [{"scope": each, "target_ids": [ids[each.split("_")[0]]]} for each in sorted(scopes)]
    kind = "PAGE" if token.kind == "account" else token.kind.upper()
    known = {"app_id": APP_ID, "type": kind, "is_valid": True, "expires_at": 0, "user_id": _user_id(token)}
    granted = {"scopes": list(token.permissions), "granular_scopes": granular}
    return 200, {"data": graph.numbered(world, known) | granted}


def _user_id(token: Token) -> str:
    """Return the app-scoped ID of the user who authorized a token."""
    return token.account.app_scoped_id if token.account else USER_WITHOUT_PAGE


def _token_response(world: World, prefix: str, token: Token) -> Answer:
    return 200, {"access_token": _new_token(world, prefix, token), "token_type": "bearer", "expires_in": LIFE_SECONDS}


def _new_token(world: World, prefix: str, token: Token) -> str:
    fresh = prefix + secrets.token_hex(12)
    world.tokens[fresh] = replace(token, at=time.time())
    return fresh


def _is_app(given: dict[str, str]) -> bool:
    return given.get("client_id") == APP_ID and given.get("client_secret") == APP_SECRET


def _page(host: str, query: dict[str, str]) -> str:
    choices = {"allow": f"Continue as {BY_LOGIN[host].username}", "less": "Continue without one permission"}
    if host == "facebook":
        choices["bare"] = "Continue with a Page that has no Instagram account"
    choices["deny"] = "Cancel"
    links = "".join(
        f'<p><a href="?{escape(urlencode(query | {"choice": choice}))}">{label}</a></p>'
        for choice, label in choices.items()
    )
    scopes = "".join(f"<li>{escape(each)}</li>" for each in query.get("scope", "").split(","))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{NAMES[host]} login (sandbox)</title>'
        '<link rel="icon" href="data:,">'
        "<style>body{font:16px/1.5 system-ui;max-width:28rem;margin:4rem auto;padding:0 1rem;color-scheme:light dark}"
        "</style>"
        f"<h1>{NAMES[host]} login (sandbox)</h1><p>An app wants to:</p><ul>{scopes}</ul>{links}</html>"
    )
