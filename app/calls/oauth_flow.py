"""Authorization by account owners at Meta, and the accounts that a token reaches: calls before an account exists."""

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
from app.models.inbox import Login

logger = logging.getLogger(__name__)

NO_ACCOUNT = (
    "None of the Pages that Meta handed over has an Instagram professional account. Link one to a Page and start again"
)
NO_PAGE = (
    "Meta handed over no Page. Start again, and in Meta's dialog choose the business portfolio, the Page and its "
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
    "Meta names no Instagram account for this access token. Assign the Instagram account to it in the business "
    "portfolio, with instagram_basic and instagram_manage_messages, or enter the professional account ID"
)
PERMISSIONS = {
    Login.INSTAGRAM: oauth.INSTAGRAM_PERMISSIONS,
    Login.FACEBOOK: oauth.FACEBOOK_PERMISSIONS,
    Login.UNIFIED: oauth.UNIFIED_PERMISSIONS,
}
SHORT = timedelta(days=1)  # a user token that ends this soon takes the tokens of its Pages along


@dataclass(frozen=True, slots=True)
class Authorization:
    """An account that a token reaches: whose it is, and the token its calls are made with."""

    me: TokenOwner
    token: IssuedToken


def available_logins() -> tuple[Login, ...]:
    """Return the logins that this installation has an app for."""
    return tuple(login for login in Login if _app_id(login))


def authorize_url(login: Login, *, back_url: str, state: str) -> str:
    """Return where the owner is asked; raises NotFound without an app."""
    ask = oauth.facebook_authorize_url if login is Login.FACEBOOK else oauth.instagram_authorize_url
    return ask(_app(login), back_url=back_url, state=state)


def redeem(login: Login, code: str, *, back_url: str) -> list[Authorization]:
    """Return the accounts that a consent brought; raises GraphAPIError, NotFound without an app.

    Instagram Login brings one, Facebook Login one for each chosen Page that has one.
    """
    credentials.refuse_inside_transaction()
    if login is Login.FACEBOOK:
        return _page_accounts(oauth.facebook_token(_app(login), code=code, back_url=back_url))
    token = oauth.instagram_token(_app(login), code=code, back_url=back_url)
    return [Authorization(gateway.owner_of_new_token(login, token.value), token)]


def reached(login: Login, token: str, *, ig_account_id: str | None = None) -> list[Authorization]:
    """Return the accounts that a pasted token reaches; raises GraphAPIError.

    For Facebook Login, a user or system user token brings the accounts of its Pages, each with its Page's token. For
    Unified Login, `ig_account_id` is asked about when Meta names no account.
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
        return _page_accounts(_lasting(token) if owner.code == client.USER else IssuedToken(token, None))
    except GraphAPIError as failure:
        if failure.scope is Scope.NETWORK:
            raise
        sentence = f"{owner.sentence}, and no Page came with it: {NO_PAGE_FOR_TOKEN[owner.code]}"
        raise GraphAPIError(owner.scope, owner.reason, owner.code, sentence, http_status=owner.http_status) from None


def _page_accounts(user: IssuedToken) -> list[Authorization]:
    credential = _patient(Login.FACEBOOK, user.value)
    permissions = _permissions(credential)
    listed = client.pages(credential)
    info = _info(credential, needed=not listed)
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
        logger.info("permissions not read", extra={"reason": str(failure)})
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
    credential = _patient(Login.UNIFIED, token)
    info = client.token_info(credentials.debug_credential(credential), token)
    permissions = tuple(sorted(info.permissions & set(oauth.UNIFIED_PERMISSIONS)))
    account_ids = info.ig_account_ids
    if ig_account_id and (not account_ids or ig_account_id in account_ids):
        account_ids = (ig_account_id,)
    if not account_ids:
        raise GraphAPIError(Scope.ACCOUNT, Reason.TOKEN, "no_account", NO_INSTAGRAM_ACCOUNT, http_status=200)
    accounts = (client.professional_account(credential, each) for each in account_ids[: client.MOST_PAGES])
    given = IssuedToken(token, info.expires_at, permissions)
    return [Authorization(replace(each, owner_id=info.user_id), given) for each in accounts]


def _info(credential: Credential, *, needed: bool) -> TokenInfo | None:
    try:
        return client.token_info(credentials.debug_credential(credential), credential.token)
    except GraphAPIError as failure:
        if needed and failure.scope is Scope.NETWORK:
            raise
        logger.info("granted Pages not read", extra={"reason": str(failure)})
        return None


def _lasting(token: str) -> IssuedToken:
    if not _app_id(Login.FACEBOOK):
        return IssuedToken(token, None)
    try:
        return oauth.exchange_for_long_lived(_app(Login.FACEBOOK), token)
    except GraphAPIError as failure:
        logger.info("user token not exchanged", extra={"reason": str(failure)})
        return IssuedToken(token, None)


def _patient(login: Login, token: str) -> Credential:
    return replace(credentials.credential_with_token(login, token), timeout_seconds=oauth.SECONDS)


def _app(login: Login) -> App:
    chosen = settings.current()
    app_id, secret = _app_id(login), chosen.meta_app_secrets[0]
    if not app_id:
        raise NotFound("way to connect")
    if login is Login.FACEBOOK:
        return App(chosen.graph_facebook_url, chosen.graph_api_version, app_id, secret)
    secret = chosen.meta_instagram_app_secret or secret
    return App(chosen.graph_instagram_url, chosen.graph_api_version, app_id, secret)


def _app_id(login: Login) -> str:
    chosen = settings.current()
    # Unified Login has no dialog of its own here: its tokens are pasted.
    return {Login.FACEBOOK: chosen.meta_app_id, Login.INSTAGRAM: chosen.meta_instagram_app_id}.get(login, "")
