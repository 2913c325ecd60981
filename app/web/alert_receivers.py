"""The Alert receivers pages, for admins: add, change, test and remove them. A secret is shown once."""

from collections.abc import Mapping
from typing import Any
from zoneinfo import available_timezones

from flask import Blueprint, Response, flash, request
from werkzeug.datastructures import MultiDict

from app import settings
from app.accounts import listing
from app.alerts import outbox, receivers
from app.alerts.receivers import AddedReceiver, ListedReceiver
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
            account_ids=None if "every" in form else _account_ids(),
            quiet=form.get("quiet", ""),
            zone=form.get("zone", "UTC"),
        )
    except Invalid as error:
        return _list(errors=error.fields)
    if added.secret is None:
        flash("Alert receiver added. Send a test to check it.")
        return rendering.see_other(HOME)
    return _list(added=added)


@blueprint.get(f"/<{ID}:receiver_id>")
def show(receiver_id: int) -> Response:
    """Show one alert receiver, and the form to change it."""
    return _show(receiver_id)


@blueprint.post(f"/<{ID}:receiver_id>")
def edit(receiver_id: int) -> Response:
    """Change the address, events, accounts and quiet hours of an alert receiver."""
    form = request.form
    try:
        receivers.change(
            session.viewer(),
            receiver_id,
            address=form.get("address", ""),
            events=form.getlist("event"),
            account_ids=receivers.ALL if "every" in form else _account_ids(),
            quiet=form.get("quiet", ""),
            zone=form.get("zone", "UTC"),
        )
    except Invalid as error:
        return _show(receiver_id, errors=error.fields)
    flash("Alert receiver changed.")
    return rendering.see_other(HOME)


@blueprint.post(f"/<{ID}:receiver_id>/rotate-secret")
def rotate_secret(receiver_id: int) -> Response:
    """Rotate the secret of an alert receiver, and show the new one once."""
    return _show(receiver_id, secret=receivers.rotate_secret(session.viewer(), receiver_id))


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


def _account_ids() -> list[int]:
    return receivers.find_accounts(session.viewer(), request.form.getlist("account"))


def _list(*, errors: Mapping[str, str] | None = None, added: AddedReceiver | None = None) -> Response:
    events = [("event", each.value) for each in receivers.CHOICES]
    new = MultiDict([("every", "1"), ("zone", filters.zone().key), *events])
    found = receivers.list_receivers(session.viewer())
    form = request.form if errors else new
    return _page("alert_receivers/page.html", form, errors, receivers=found, added=added)


def _show(receiver_id: int, *, errors: Mapping[str, str] | None = None, secret: str | None = None) -> Response:
    found = receivers.get_receiver(session.viewer(), receiver_id)
    form = request.form if errors else _stored(found)
    return _page("alert_receivers/receiver.html", form, errors, receiver=found, secret=secret)


def _stored(receiver: ListedReceiver) -> MultiDict[str, str]:
    quiet, limited = receiver.quiet, receiver.ig_account_ids
    fields = [
        ("address", receiver.address),
        *(("event", each.value) for each in receiver.events),
        *([("every", "1")] if limited is None else [("account", each) for each in limited]),
        *(("quiet", quiet.times if quiet else ""), ("zone", quiet.zone if quiet else filters.zone().key)),
    ]
    return MultiDict(fields)


def _page(template: str, form: MultiDict[str, str], errors: Mapping[str, str] | None, **shown: Any) -> Response:
    return rendering.render(
        template,
        None,
        selection=account_selection.select(),
        status=422 if errors else 200,
        accounts=listing.accounts(session.viewer()),
        choices=receivers.CHOICES,
        mail=bool(settings.current().smtp_url),
        zones=sorted(available_timezones()),
        form=form,
        errors=errors or {},
        **shown,
    )
