"""Store the IDs that Meta uses for an account and its owner, as `/me` returns them."""

from sqlalchemy import select

from app.calls import gateway
from app.db import transaction
from app.identities import self_contacts
from app.instagram.responses import TokenOwner
from app.models.account import Account


def verify_owner(account_id: int) -> None:
    """Ask Meta for the owner of an account's access token, and store the IDs it returns.

    Raises GraphAPIError and NotFound.
    """
    response = gateway.token_owner(account_id)
    with transaction.write() as tx:
        account = tx.session.scalars(select(Account).where(Account.id == account_id).with_for_update()).one_or_none()
        if account is not None and _store_ids(account, response):
            tx.session.flush()
            self_contacts.delete_self_contacts(tx, account_id, account.own_ids)
            tx.mark_changed(account_id)


def _store_ids(account: Account, response: TokenOwner) -> bool:
    """Store the IDs that `/me` returned in an account's row. Return whether one of `own_ids` is new.

    An ID of an earlier app or Page is kept: requests about it may still arrive.
    """
    account.ig_app_scoped_id = response.ig_app_scoped_id or account.ig_app_scoped_id
    account.ig_page_id = response.ig_page_id or account.ig_page_id
    account.owner_id = response.owner_id or account.owner_id
    known = {*account.own_ids, account.ig_app_scoped_id, account.ig_page_id} - {account.ig_account_id}
    own_ids = sorted(filter(None, known))
    if own_ids == account.own_ids:
        return False
    account.own_ids = own_ids
    return True
