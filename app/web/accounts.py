"""The Accounts page: connection status, and connecting, checking, syncing and removing accounts."""

from collections import defaultdict

from flask import Blueprint, Response, flash, make_response, redirect, request
from flask import session as cookie

from app.accounts import authorization, cards, connect, listing
from app.accounts.authorization import AuthorizationAttempt
from app.accounts.connect import AccountCheck
from app.erasure import owner_requests
from app.errors import Invalid
from app.insights import arrivals
from app.runs import sync_job
from app.viewer import Role
from app.web import account_selection, rendering, session, trusted_hosts

HOME = "/accounts"
ATTEMPT = "consent"  # key of the authorization attempt in the session cookie

blueprint = Blueprint("accounts", __name__, url_prefix=HOME)


@blueprint.get("")
def index() -> Response:
    """Show the accounts that the viewer may see."""
    return _page()


@blueprint.post("")
def add() -> Response:
    """Connect an account with a pasted access token. Without an account ID, Meta names the account."""
    form = {name: request.form.get(name, "").strip() for name in ("login", "ig_account_id", "token")}
    try:
        added = connect.add(
            session.viewer(), form["ig_account_id"] or None, login=form["login"], token=form.pop("token")
        )
    except Invalid as error:
        return _page(status=422, wrong=error.fields, form=form)
    flash(f"Connected {added.name}.")
    _flash(connect.subscription_of(added))
    return rendering.see_other(HOME)


@blueprint.get("/connect/<login>")
def begin(login: str) -> Response:
    """Redirect to Meta, where the account owner authorizes the app. Changes only the cookie."""
    url, attempt = authorization.begin(session.viewer(), login, back_url=_back(login))
    cookie[ATTEMPT] = [attempt.login, attempt.state, attempt.began]
    return make_response(redirect(url, 303))


@blueprint.get("/connected/<login>")
def finish(login: str) -> Response:
    """Connect the authorized accounts after Meta's redirect. Works once per attempt in the cookie."""
    kept = cookie.pop(ATTEMPT, None)
    answer = {"state": request.args.get("state", ""), "code": request.args.get("code", "")}
    attempt = AuthorizationAttempt(*kept) if kept else None
    try:
        added = authorization.finish(session.viewer(), attempt, login=login, back_url=_back(login), **answer)
    except Invalid as error:
        for sentence in error.fields.values():
            flash(sentence, "bad")
        return rendering.see_other(f"{HOME}#accounts")  # without Meta's parameters, which a reload would send again
    flash(f"Connected {', '.join(each.name for each in added)}.")
    for each in added:
        _flash(connect.subscription_of(each), of=each.name)
    return rendering.see_other(f"{HOME}#accounts")  # replaces the "#_" that Meta appends


@blueprint.post("/<ig_account_id>/check")
def check(ig_account_id: str) -> Response:
    """Check the access token and the webhook subscription with Meta."""
    viewer = session.viewer()
    found = connect.check(viewer, ig_account_id)
    if found == AccountCheck():
        account = listing.by_ig_id(viewer, ig_account_id)
        flash(f"{account.name}: connection OK. The access token is valid and webhooks are active.")
    _flash(found)
    return rendering.hx_redirect(HOME)


@blueprint.post("/<ig_account_id>/sync")
def sync(ig_account_id: str) -> Response:
    """Start a conversation sync, and show its job."""
    viewer = session.viewer()
    viewer.require(Role.OPS)
    run_id = sync_job.start(viewer, listing.by_ig_id(viewer, ig_account_id).id)
    flash("Conversation sync queued.")
    return rendering.hx_redirect(f"/jobs/{run_id}")


@blueprint.post("/<ig_account_id>/remove")
def remove(ig_account_id: str) -> Response:
    """Remove an account and delete its data."""
    connect.remove(session.viewer(), ig_account_id)
    flash("Account removed. Its data is being deleted and will be gone within minutes.")
    return rendering.hx_redirect(HOME)


@blueprint.post("/requests/<code>/assign")
def assign_request(code: str) -> Response:
    """Carry out an open request of an account owner on the selected account."""
    owner_requests.assign(session.viewer(), code, request.form.get("ig_account_id", ""))
    flash("Request assigned. It is being carried out.")
    return rendering.hx_redirect(HOME)


@blueprint.post("/requests/<code>/close")
def close_request(code: str) -> Response:
    """Close an open request of an account owner: nothing is stored for them."""
    owner_requests.close(session.viewer(), code)
    flash("Request closed.")
    return rendering.hx_redirect(HOME)


def _page(*, status: int = 200, wrong: dict[str, str] | None = None, form: dict[str, str] | None = None) -> Response:
    viewer = session.viewer()
    return rendering.render(
        "accounts/page.html",
        None,
        selection=account_selection.select(),
        status=status,
        cards=cards.list_cards(viewer),
        arrivals=arrivals.by_account(viewer),
        requests=owner_requests.open_requests(viewer),
        operates=viewer.may(Role.OPS),
        administers=viewer.may(Role.ADMIN),
        offered=authorization.available_logins(),
        wrong=defaultdict(str, wrong or {}),
        form=defaultdict(str, form or {}),
    )


def _flash(found: AccountCheck, *, of: str | None = None) -> None:
    for category, message in (("bad", found.problem), ("warn", found.warning)):
        if message:
            flash(f"{of}: {message}" if of else message, category)


def _back(login: str) -> str:
    return trusted_hosts.external_url("accounts.finish", login=login)
