"""Asking Meta's owners of accounts for consent, and what it brings: calls made before there is an account of ours."""

from dataclasses import dataclass, replace

from app import settings
from app.calls import credentials, gate
from app.errors import NotFound
from app.instagram import client, oauth
from app.instagram.answers import Me
from app.instagram.errors import CallFailed, Reason, Scope
from app.instagram.oauth import App, GivenToken
from app.models.inbox import Login

NO_PAGE = "None of the Pages that were chosen has an Instagram professional account; link one to a Page and start again"
PERMISSIONS = {Login.INSTAGRAM: oauth.INSTAGRAM_PERMISSIONS, Login.FACEBOOK: oauth.FACEBOOK_PERMISSIONS}


@dataclass(frozen=True, slots=True)
class Consented:
    """An account whose owner agreed: whose it is, and its token."""

    me: Me
    token: GivenToken


def offered() -> tuple[Login, ...]:
    """Return the logins that this installation has an app for."""
    return tuple(login for login in Login if _app_id(login))


def address(login: Login, *, back_url: str, state: str) -> str:
    """Return where the owner is asked; raises NotFound without an app."""
    ask = oauth.facebook_consent if login is Login.FACEBOOK else oauth.instagram_consent
    return ask(_app(login), back_url=back_url, state=state)


def redeem(login: Login, code: str, *, back_url: str) -> list[Consented]:
    """Return the accounts that a consent brought; raises CallFailed, NotFound without an app.

    Instagram Login brings one, Facebook Login one for each chosen Page that has one.
    """
    credentials.refuse_inside_transaction()
    if login is Login.FACEBOOK:
        return _of_pages(oauth.facebook_token(_app(login), code=code, back_url=back_url))
    token = oauth.instagram_token(_app(login), code=code, back_url=back_url)
    return [Consented(gate.try_token(login, token.value), token)]


def _of_pages(person: GivenToken) -> list[Consented]:
    credential = replace(credentials.with_token(Login.FACEBOOK, person.value), timeout_seconds=oauth.SECONDS)
    granted = client.permissions(credential)
    permissions = tuple(sorted(granted & set(oauth.FACEBOOK_PERMISSIONS)))
    owner_id = client.user_id(credential)
    pages = [
        Consented(replace(me, owner_id=owner_id), GivenToken(token, None, permissions))
        for me, token in client.pages(credential)
    ]
    if not pages:
        raise CallFailed(Scope.ACCOUNT, Reason.TOKEN, "100/2534013", NO_PAGE, http_status=200)
    return pages


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
    return chosen.meta_app_id if login is Login.FACEBOOK else chosen.meta_instagram_app_id
