"""The Settings page: time zone, theme, keyboard, pinned searches, password and sessions of the user."""

from zoneinfo import available_timezones

from flask import Blueprint, Response, request

from app import settings
from app.clock import YEAR_SECONDS
from app.errors import Invalid
from app.inbox import pins
from app.users import users
from app.web import account_selection, filters, rendering, session

HOME = "/settings"

blueprint = Blueprint("settings", __name__, url_prefix=HOME)


@blueprint.get("")
def index() -> Response:
    """Show the settings."""
    return _page()


@blueprint.post("/zone")
def zone() -> Response:
    """Set the time zone of pages in a cookie. Empty: use the browser's."""
    chosen = request.form.get("zone", "")
    if chosen and chosen not in available_timezones():
        raise Invalid({"zone": "Choose a time zone from the list."})
    response = rendering.see_other(HOME)
    secure = settings.current().production
    max_age = YEAR_SECONDS if chosen else 0
    response.set_cookie(
        filters.CHOSEN_ZONE_COOKIE, chosen, max_age=max_age, secure=secure, httponly=True, samesite="Lax"
    )
    return response


@blueprint.post("/password")
def password() -> Response:
    """Change the user's own password. Ends all their sessions, including this one."""
    present, wanted = request.form.get("present", ""), request.form.get("password", "")
    try:
        users.change_own_password(session.viewer(), present=present, password=wanted)
    except Invalid as error:
        return _page(status=422, error=str(error))
    return rendering.hx_redirect("/login")


def _page(*, status: int = 200, error: str | None = None) -> Response:
    return rendering.render(
        "settings/page.html",
        None,
        selection=account_selection.select(),
        status=status,
        error=error,
        pins=pins.list_pins(session.viewer()),
        zones=sorted(available_timezones()),
        chosen=request.cookies.get(filters.CHOSEN_ZONE_COOKIE, ""),
        themes=rendering.THEMES,
    )
