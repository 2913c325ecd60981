"""Settings: what each reader chooses for themselves."""

from zoneinfo import available_timezones

from flask import Blueprint, Response, request

from app import settings
from app.clock import YEAR_SECONDS
from app.errors import Invalid
from app.users import users
from app.web import account_selection, filters, rendering, session

HOME = "/settings"

blueprint = Blueprint("settings", __name__, url_prefix=HOME)


@blueprint.get("")
def index() -> Response:
    """Every choice there is."""
    return _page()


@blueprint.post("/zone")
def zone() -> Response:
    """Show times in another zone than the browser's; an empty choice goes back to it."""
    chosen = request.form.get("zone", "")
    if chosen and chosen not in available_timezones():
        raise Invalid({"zone": "The time zone should be one of the list."})
    response = rendering.see_other(HOME)
    secure = settings.current().production
    lasting = YEAR_SECONDS if chosen else 0
    response.set_cookie(
        filters.CHOSEN_ZONE_COOKIE, chosen, max_age=lasting, secure=secure, httponly=True, samesite="Lax"
    )
    return response


@blueprint.post("/password")
def password() -> Response:
    """Change one's own password; every session ends, this one too."""
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
        desk=account_selection.select(session.viewer()),
        status=status,
        error=error,
        zones=sorted(available_timezones()),
        chosen=request.cookies.get(filters.CHOSEN_ZONE_COOKIE, ""),
        themes=rendering.THEMES,
    )
