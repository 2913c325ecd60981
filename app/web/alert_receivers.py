"""The Alert receivers page, for admins: add, test, switch on and remove them. A secret is shown once."""

from collections.abc import Mapping
from zoneinfo import available_timezones

from flask import Blueprint, Response, flash, request
from werkzeug.datastructures import MultiDict

from app import settings
from app.accounts import listing
from app.alerts import outbox, receivers
from app.alerts.receivers import AddedReceiver
from app.errors import Invalid
from app.web import account_selection, filters, rendering, session
from app.web.inbox import ID

HOME = "/alerts/receivers"

blueprint = Blueprint("alert_receivers", __name__, url_prefix=HOME)

ACTIONS = {
    "test": (outbox.send_test, "Test queued. It is sent within seconds: reload the page for the result."),
    "enable": (receivers.enable, "Alert receiver switched on."),
    "remove": (receivers.remove, "Alert receiver removed."),
}


@blueprint.get("")
def index() -> Response:
    """Show the alert receivers, and the form to add one."""
    return _list()


@blueprint.post("")
def add() -> Response:
    """Add an alert receiver."""
    form = request.form
    try:
        added = receivers.add(
            session.viewer(),
            form.get("address", ""),
            events=form.getlist("event"),
            account_ids=_account_ids(),
            quiet=form.get("quiet", ""),
            zone=form.get("zone", "UTC"),
        )
    except Invalid as error:
        return _list(errors=error.fields)
    if added.secret is None:
        flash("Alert receiver added. Send a test to check it.")
        return rendering.see_other(HOME)
    return _list(added=added)


@blueprint.post(f"/<{ID}:receiver_id>/<any({', '.join(ACTIONS)}):action>")
def change(receiver_id: int, action: str) -> Response:
    """Test an alert receiver, switch it on or remove it."""
    change_, message = ACTIONS[action]
    viewer = session.viewer()
    change_(viewer, receiver_id)
    return rendering.render(
        None,
        "alert_receivers/_receivers.html",
        home=HOME,
        events=rendering.report(message),
        receivers=receivers.list_receivers(viewer),
    )


def _account_ids() -> list[int] | None:
    chosen = request.form.getlist("account")
    if "every" in request.form:
        return None
    known = {each.ig_account_id: each.id for each in listing.accounts(session.viewer())}
    if not chosen or not set(chosen) <= known.keys():
        raise Invalid({"accounts": "Select all accounts, or at least one from the list."})
    return [known[each] for each in chosen]


def _list(*, errors: Mapping[str, str] | None = None, added: AddedReceiver | None = None) -> Response:
    viewer = session.viewer()
    found = receivers.list_receivers(viewer)
    return rendering.render(
        "alert_receivers/page.html",
        None,
        selection=account_selection.select(),
        status=422 if errors else 200,
        receivers=found,
        accounts=listing.accounts(viewer),
        choices=receivers.CHOICES,
        mail=bool(settings.current().smtp_url),
        zones=sorted(available_timezones()),
        zone=request.form.get("zone", filters.zone().key),
        form=request.form if errors else MultiDict(),
        errors=errors or {},
        added=added,
    )
