"""Selects the account of a page: the one in its URL, or the one that the user opened last."""

from flask import request, session
from flask_login import current_user

from app.inbox import layout
from app.inbox.layout import AccountSelection

_LAST_USED = "account"  # in the session, a professional account ID


def select(*, ig_account_id: str | None = None, account_id: int | None = None) -> AccountSelection:
    """Return the user's accounts with one selected. A page that names an account makes it the last used one.

    The accounts were read with the session. A request that changes them ends with a redirect.

    Raises NotFound for a named account that does not exist or that the viewer may not see.
    """
    last_used = session.get(_LAST_USED)
    selection = layout.select_account(
        current_user.accounts, ig_account_id=ig_account_id or None, account_id=account_id, last_used=last_used
    )
    named = ig_account_id or account_id is not None
    if named and request.headers.get("HX-Request") != "true" and last_used != selection.ig_account_id:
        session[_LAST_USED] = selection.ig_account_id
    return selection
