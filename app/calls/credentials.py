"""Build the credential of a call to Meta: account row, decrypted access token, API host."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import select

from app import settings
from app.calls import circuit_breaker
from app.db import transaction
from app.db.engine import db
from app.db.types import Secret, SecretUnreadable
from app.errors import NotFound
from app.instagram.credential import Credential
from app.instagram.errors import GraphAPIError, Reason, Scope
from app.models.account import Account, AccountState, Login, all_ids

ME = "me"
UNREADABLE = "The stored access token cannot be read with the configured keys. Restore the key or reconnect the account"
NEWER_LOGIN = "A newer version of Nametag connected this account. Update Nametag"
NO_TOKEN = "The account has no access token. Reconnect the account"  # noqa: S105 - a sentence


@dataclass(frozen=True, slots=True)
class MetaAccount:
    """The account that a call is about, from its row."""

    id: int
    ig_account_id: str
    login: Login
    ig_page_id: str | None
    ig_app_scoped_id: str | None
    own_ids: Sequence[str]
    token: Secret | None
    state: AccountState
    state_reason: str | None

    @property
    def ids(self) -> frozenset[str]:
        """Every ID that Meta uses for the account."""
        return all_ids(self)

    @property
    def node(self) -> str:
        """The Graph API node with the account's conversations and webhook subscription."""
        nodes = {Login.FACEBOOK: self.ig_page_id or ME, Login.UNIFIED: self.ig_account_id}
        return nodes.get(self.login, ME)


def account(account_id: int) -> MetaAccount:
    """Return the account with its current token; raises NotFound, and RuntimeError inside a transaction."""
    refuse_inside_transaction()
    db.session.rollback()  # an older snapshot may not have a new token
    names = (Account.id, Account.ig_account_id, Account.login, Account.ig_page_id, Account.ig_app_scoped_id)
    found = select(*names, Account.own_ids, Account.token, Account.state, Account.state_reason).where(
        Account.id == account_id
    )
    row = db.session.execute(found).one_or_none()
    if row is None:
        raise NotFound("account")
    return MetaAccount(*row)


def credential_for(called: MetaAccount) -> Credential:
    """Return the credential of the account; without a token, open its circuit breaker and raise GraphAPIError."""
    if called.login not in set(Login):  # never send its token to the wrong host
        raise GraphAPIError(Scope.CONTRACT, Reason.REFUSED, "unknown_login", NEWER_LOGIN)
    try:
        token = called.token.reveal() if called.token else ""
    except SecretUnreadable:
        failure = GraphAPIError(Scope.ACCOUNT, Reason.TOKEN, "unreadable", UNREADABLE)
    else:
        if token:
            return replace(credential_with_token(called.login, token), account_ids=called.ids)
        failure = GraphAPIError(Scope.ACCOUNT, Reason.TOKEN, "no_token", NO_TOKEN)
    circuit_breaker.record_failure(called.id, failure, token=called.token)
    raise failure


def credential_with_token(login: Login, token: str) -> Credential:
    """Return the credential for a token; calls to Facebook's host get a proof with the app secret."""
    chosen = settings.current()
    facebook = login is not Login.INSTAGRAM
    return Credential(
        host_url=chosen.graph_facebook_url if facebook else chosen.graph_instagram_url,
        version=chosen.graph_api_version,
        token=token,
        timeout_seconds=chosen.graph_timeout_seconds,
        app_secret=chosen.meta_app_secrets[0] if facebook else None,
    )


def debug_credential(credential: Credential) -> Credential:
    """Return the credential for inspecting the token of `credential`, which is for Facebook's host.

    Meta requires the app's token to inspect another token; without an app ID a token inspects itself.
    """
    app_id = settings.current().meta_app_id
    return replace(credential, token=f"{app_id}|{credential.app_secret}") if app_id else credential


def refuse_inside_transaction() -> None:
    """Raise RuntimeError inside a transaction: a call to Meta can take seconds."""
    if transaction.is_open():
        raise RuntimeError("a call to Meta can take seconds; it must not be made inside a transaction")
