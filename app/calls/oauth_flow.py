"""OAuth with Meta and the accounts of a pasted token: calls to Meta before an account is connected."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

from app import clock, settings
from app.calls import credentials, gateway
from app.errors import NotFound
from app.instagram import client, oauth
from app.instagram.credential import Credential
from app.instagram.errors import GraphAPIError, Reason, Scope
from app.instagram.oauth import App, IssuedToken
from app.instagram.responses import GrantedPage, TokenInfo, TokenOwner
from app.models.account import Login

logger = logging.getLogger(__name__)

NO_ACCOUNT = "None of the selected Pages is linked to an Instagram professional account. Link one, then start again"
NO_PAGE = (
    "Meta returned no Page. Start again, and in Meta's dialog choose the business portfolio, the Page and its "
    "Instagram account. If the Page is still missing, paste a Page access token that was created with the permission "
    "business_management"
)
NO_PAGE_FOR_TOKEN = {
    client.USER: "paste the Page access token instead, or a user access token for which the Page was chosen",
    client.SYSTEM_USER: (
        "assign the Page and its Instagram account to the system user in the business portfolio, with the permission "
        "business_management, or choose Unified Login for an account without a Page"
    ),
}
NO_INSTAGRAM_ACCOUNT = (
    "Meta returned no Instagram account for this access token. Assign the Instagram account to it in the business "
    "portfolio, with instagram_basic and instagram_manage_messages, or enter the professional account ID"
)
PERMISSIONS = {
    Login.INSTAGRAM: oauth.INSTAGRAM_PERMISSIONS,
    Login.FACEBOOK: oauth.FACEBOOK_PERMISSIONS,
    Login.UNIFIED: oauth.UNIFIED_PERMISSIONS,
}
SHORT = timedelta(days=1)  # a user token that expires sooner ends the tokens of its Pages, too


@dataclass(frozen=True, slots=True)
class Authorization:
    """An account that may be connected: the account at Meta and the access token for its calls."""

    me: TokenOwner
    token: IssuedToken


def available_logins() -> tuple[Login, ...]:
    """Return the login types with a configured app."""
    return tuple(login for login in Login if _app_id(login))


def authorize_url(login: Login, *, back_url: str, state: str) -> str:
    """Return the URL where the account owner authorizes the app; raises NotFound without a configured app."""
    ask = oauth.facebook_authorize_url if login is Login.FACEBOOK else oauth.instagram_authorize_url
    return ask(_app(login), back_url=back_url, state=state)


def redeem(login: Login, code: str, *, back_url: str) -> list[Authorization]:
    """Exchange an authorization code for accounts; raises GraphAPIError, and NotFound without a configured app.

    Instagram Login returns one account, Facebook Login one for each selected Page with a linked account.
    """
    credentials.refuse_inside_transaction()
    if login is Login.FACEBOOK:
        return _page_accounts(oauth.facebook_token(_app(login), code=code, back_url=back_url))
    token = oauth.instagram_token(_app(login), code=code, back_url=back_url)
    return [Authorization(gateway.owner_of_new_token(login, token.value), token)]


def accounts_of_token(login: Login, token: str, *, ig_account_id: str | None = None) -> list[Authorization]:
    """Return the accounts of a pasted token; raises GraphAPIError.

    For Facebook Login, a user or system user token returns the accounts of its Pages, each with the Page access token.
    For Unified Login, `ig_account_id` is used if Meta returns no account.
    """
    credentials.refuse_inside_transaction()
    if login is Login.UNIFIED:
        return _system_user_accounts(token, ig_account_id)
    try:
        return [Authorization(gateway.owner_of_new_token(login, token), IssuedToken(token, None))]
    except GraphAPIError as failure:
        if failure.code not in NO_PAGE_FOR_TOKEN:
            raise
        owner = failure
    try:
        return _page_accounts(_long_lived(token) if owner.code == client.USER else IssuedToken(token, None))
    except GraphAPIError as failure:
        if failure.scope is Scope.NETWORK:
            raise
        sentence = f"{owner.sentence}, and it gives access to no Page: {NO_PAGE_FOR_TOKEN[owner.code]}"
        raise GraphAPIError(owner.scope, owner.reason, owner.code, sentence, http_status=owner.http_status) from None


def _page_accounts(user: IssuedToken) -> list[Authorization]:
    credential = _slow_credential(Login.FACEBOOK, user.value)
    permissions = _permissions(credential)
    listed = client.pages(credential)
    info = _token_info(credential, needed=not listed)
    pages = [*listed, *_unlisted(credential, listed, info)]
    ends = info.expires_at if info and info.expires_at and info.expires_at < clock.now() + SHORT else None
    usable = [(page.account, page.token) for page in pages if page.account and page.token]
    owner_id = info.user_id if info else None
    found = [
        Authorization(replace(account, owner_id=owner_id), IssuedToken(token, ends, permissions))
        for account, token in usable
    ]
    if not found:
        sentence = NO_ACCOUNT if pages else NO_PAGE
        raise GraphAPIError(Scope.ACCOUNT, Reason.TOKEN, "100/2534013", sentence, http_status=200)
    return found


def _permissions(credential: Credential) -> tuple[str, ...] | None:
    try:
        return tuple(sorted(client.permissions(credential) & set(oauth.FACEBOOK_PERMISSIONS)))
    except GraphAPIError as failure:
        if failure.scope is Scope.NETWORK:
            raise
        logger.info("permissions of an access token not read", extra={"reason": str(failure)})
        return None


def _unlisted(credential: Credential, listed: list[GrantedPage], info: TokenInfo | None) -> Iterator[GrantedPage]:
    known = {page.ig_page_id for page in listed}
    granted = [page_id for page_id in info.page_ids if page_id not in known] if info else []
    for page_id in granted[: client.MOST_PAGES]:
        try:
            yield client.granted_page(credential, page_id)
        except GraphAPIError as failure:
            if failure.scope is Scope.NETWORK:
                raise
            logger.info("granted Page not read", extra={"page": page_id, "reason": str(failure)})


def _system_user_accounts(token: str, ig_account_id: str | None) -> list[Authorization]:
    credential = _slow_credential(Login.UNIFIED, token)
    info = client.token_info(credentials.debug_credential(credential), token)
    permissions = tuple(sorted(info.permissions & set(oauth.UNIFIED_PERMISSIONS)))
    account_ids = info.ig_account_ids
    if ig_account_id and (not account_ids or ig_account_id in account_ids):
        account_ids = (ig_account_id,)
    if not account_ids:
        raise GraphAPIError(Scope.ACCOUNT, Reason.TOKEN, "no_account", NO_INSTAGRAM_ACCOUNT, http_status=200)
    accounts = (client.professional_account(credential, each) for each in account_ids[: client.MOST_PAGES])
    issued = IssuedToken(token, info.expires_at, permissions)
    return [Authorization(replace(each, owner_id=info.user_id), issued) for each in accounts]


def _token_info(credential: Credential, *, needed: bool) -> TokenInfo | None:
    try:
        return client.token_info(credentials.debug_credential(credential), credential.token)
    except GraphAPIError as failure:
        if needed and failure.scope is Scope.NETWORK:
            raise
        logger.info("granted Pages not read", extra={"reason": str(failure)})
        return None


def _long_lived(token: str) -> IssuedToken:
    if not _app_id(Login.FACEBOOK):
        return IssuedToken(token, None)
    try:
        return oauth.exchange_for_long_lived(_app(Login.FACEBOOK), token)
    except GraphAPIError as failure:
        logger.info("user token not exchanged", extra={"reason": str(failure)})
        return IssuedToken(token, None)


def _slow_credential(login: Login, token: str) -> Credential:
    return replace(credentials.credential_with_token(login, token), timeout_seconds=oauth.SECONDS)


def _app(login: Login) -> App:
    chosen = settings.current()
    app_id, secret = _app_id(login), chosen.meta_app_secrets[0]
    if not app_id:
        raise NotFound("app for this login type")
    if login is Login.FACEBOOK:
        return App(chosen.graph_facebook_url, chosen.graph_api_version, app_id, secret)
    secret = chosen.meta_instagram_app_secret or secret
    return App(chosen.graph_instagram_url, chosen.graph_api_version, app_id, secret)


def _app_id(login: Login) -> str:
    chosen = settings.current()
    # Unified Login has no dialog: its tokens are pasted.
    return {Login.FACEBOOK: chosen.meta_app_id, Login.INSTAGRAM: chosen.meta_instagram_app_id}.get(login, "")
