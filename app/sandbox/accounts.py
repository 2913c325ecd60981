"""The two accounts and the secrets of the sandbox: public, for local development only."""

import os
from dataclasses import dataclass

MAISON_LUNE = "17841400000000101"
ATELIER_NORD = "17841400000000202"
APP_ID = "700000000000111"
APP_SECRET = os.environ.get("SANDBOX_APP_SECRET") or "sandbox-app-secret-for-development"  # the demo sets its own
SYSTEM_USER_TOKEN = "EAAsandboxSystemUser0123456789"  # noqa: S105 - for atelier.nord; public on purpose
VERIFY_TOKEN = "sandbox-verify-token"  # noqa: S105 - public on purpose


@dataclass(frozen=True, slots=True)
class Account:
    """A professional account: `id` is `entry.id` of webhooks, `app_scoped_id` is `id` of /me."""

    id: str
    username: str
    login: str
    token: str
    app_scoped_id: str
    own_igsid: str
    page_id: str | None

    @property
    def own_ids(self) -> frozenset[str]:
        """Every ID that Meta uses for the account."""
        return frozenset(each for each in (self.id, self.app_scoped_id, self.own_igsid, self.page_id) if each)


ACCOUNTS = {
    MAISON_LUNE: Account(
        MAISON_LUNE,
        "maison.lune",
        "instagram",
        "IGAAsandboxMaisonLune0123456789",
        "24900000000000777",
        "1520000000000900",
        None,
    ),
    ATELIER_NORD: Account(
        ATELIER_NORD,
        "atelier.nord",
        "facebook",
        "EAAsandboxAtelierNord0123456789",
        "24900000000000888",
        "1520000000000901",
        "104000000000301",
    ),
}
BY_TOKEN = {account.token: account for account in ACCOUNTS.values()}
BY_LOGIN = {account.login: account for account in ACCOUNTS.values()}
