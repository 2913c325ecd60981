"""Sessions: sign in and out, the viewer of every request, and protection against requests from other sites."""

import logging
import secrets
from datetime import timedelta
from urllib.parse import SplitResult, quote, unquote

from flask import Blueprint, Flask, Request, Response, g, request
from flask import session as cookie
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask_login import LoginManager, current_user, login_user
from flask_wtf import CSRFProtect
from itsdangerous import URLSafeTimedSerializer

from app import clock, settings, text
from app.errors import Forbidden, Invalid
from app.inbox import presence
from app.users import login_throttle, refusals, sessions, sign_in, users
from app.users.users import StaffUser
from app.viewer import STRANGER, Viewer, VisibleAccount
from app.web import error_pages, rendering, trusted_hosts

logger = logging.getLogger(__name__)

IDLE = timedelta(hours=12)
SEEN_INTERVAL = timedelta(minutes=5)  # of activity, so that not every response sends the cookie again
FORM_BYTES = 2 * 1024 * 1024
NEXT_CHARACTERS = 2_000
HOME = "/inbox"
NUL = "\x00"
PUBLIC_ENDPOINTS = frozenset(
    {
        *(
            "static",
            "health.alive",
            "health.ready",
            "health.scrape",
            "session.form",
            "session.enter",
            "deletions.status",
        ),
        *("oidc.begin", "oidc.finish"),
        *("webhooks.handshake", "webhooks.delivery", "webhooks.deauthorize", "webhooks.data_deletion"),
    }
)
# Polled by pages without a user: polls do not keep a session alive.
POLLED_ENDPOINTS = frozenset(
    {"inbox.list_", "inbox.more", "inbox.messages", "inbox.notices_", "jobs.live", "jobs.unresolved_", "jobs.history"}
)
# Their parts replace a page's conversation and URL: after signing in, that page is shown, not the one before.
_PAGES = frozenset({"inbox.index", "inbox.conversation"})
ENDED = "Your session ended. Sign in to continue where you were."
WRONG = "Incorrect email or password."

blueprint = Blueprint("session", __name__)


class _Cookies(SecureCookieSessionInterface):
    """Session cookies; none for webhooks, which saves the time of creating a session."""

    _serializer: URLSafeTimedSerializer | None = None

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer | None:
        """Return the serializer of cookies, which is created once: the key does not change while the app runs."""
        if self._serializer is None:
            self._serializer = super().get_signing_serializer(app)
        return self._serializer

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Return the session of a request, None for webhooks."""
        return None if request.path.startswith("/webhooks/") else super().open_session(app, request)


class LoginUser:
    """The user of a session, for Flask-Login."""

    is_authenticated = is_active = True
    is_anonymous = False

    def __init__(self, user: StaffUser, accounts: tuple[VisibleAccount, ...] = ()) -> None:
        self.user = user
        self.viewer = user.viewer()
        self.accounts = accounts

    def get_id(self) -> str:
        """Return the session key for the cookie. It changes to end all sessions of the user."""
        return self.user.session_key


def init_app(app: Flask) -> CSRFProtect:
    """Configure cookies, sign-in and CSRF protection of `app`.

    Return the CSRF protection, from which blueprints without cookies must be exempted.
    """
    production = settings.current().production
    app.session_interface = _Cookies()
    app.config.update(
        SESSION_COOKIE_NAME="__Host-nametag" if production else "nametag",
        SESSION_COOKIE_SECURE=production,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=sessions.MAX_AGE,
        MAX_CONTENT_LENGTH=FORM_BYTES,
        MAX_FORM_MEMORY_SIZE=FORM_BYTES,
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session: pages stay open all day
        WTF_CSRF_SSL_STRICT=False,  # _refuse_other_sites is stricter
    )
    manager = LoginManager(app)
    manager.session_protection = None
    manager.user_loader(_load_once)
    app.before_request(_refuse_guesses)
    app.before_request(_refuse_other_sites)
    app.before_request(_require_sign_in)
    app.after_request(_record_refusal)
    csrf = CSRFProtect(app)
    app.before_request(_refuse_nul)
    app.register_blueprint(blueprint)
    return csrf


def viewer() -> Viewer:
    """Return the viewer of this request; all endpoints but PUBLIC_ENDPOINTS have one."""
    found: Viewer = current_user.viewer
    return found


def route() -> str:
    """Return method and path of this request for the audit log."""
    return refusals.route_of(request.method, str(request.url_rule))


def safe_next(target: str | None) -> str:
    """Return `target` if it is a path of this server, else the inbox: no open redirects."""
    wanted = target or ""
    for form in (wanted, unquote(wanted)):
        if not form.startswith("/") or form[1:2] in ("/", "\\") or not form.isprintable():
            return HOME
    parts = text.split_url(wanted)
    return wanted if len(wanted) <= NEXT_CHARACTERS and parts and parts.path != "/login" else HOME


def start(user: StaffUser) -> None:
    """Start a new session of `user`, and discard the previous one."""
    cookie.clear()
    login_user(LoginUser(user))
    cookie.permanent = True
    cookie["id"] = secrets.token_urlsafe(16)
    cookie["since"] = cookie["seen"] = _now()


def refused(status: int, error: str) -> Response:
    """Return the sign-in form with an error."""
    return _form(status, error)


@blueprint.get("/login")
def form() -> Response:
    """Show the sign-in form."""
    if current_user.is_authenticated:
        return rendering.see_other(safe_next(request.args.get("next")))
    return _form()


@blueprint.post("/login")
def enter() -> Response:
    """Sign in with email address and password. Starts a new session."""
    email, password = request.form.get("email", ""), request.form.get("password", "")
    address = request.remote_addr or ""
    if wait := login_throttle.wait_seconds(email, address):
        sign_in.record_throttled(address, route())
        return _too_many_attempts(wait)
    try:
        user = sign_in.authenticate(email, password, address=address, route=route())
    except Invalid as error:
        return _form(422, str(error), email)
    if user is None:
        return _form(401, WRONG, email)
    login_throttle.forget_attempt(email, address)
    start(user)
    return rendering.see_other(safe_next(request.args.get("next")))


@blueprint.post("/logout")
def sign_out() -> Response:
    """End this session: a copy of its cookie no longer works. The user's other sessions stay."""
    sessions.end(viewer(), cookie["id"])
    presence.leave_all(viewer())
    return _signed_out()


@blueprint.post("/logout/all")
def sign_out_everywhere() -> Response:
    """End every session of this user, on all devices."""
    users.sign_out(viewer())
    presence.leave_all(viewer())
    return _signed_out()


@blueprint.post("/settings/theme")
def theme() -> Response:
    """Store the user's theme in a cookie."""
    chosen = request.form.get("theme", "")
    if chosen not in rendering.THEMES:
        raise Invalid({"theme": "The theme must be light, dark or system."})
    response = rendering.see_other(came_from())
    secure = settings.current().production
    response.set_cookie("theme", chosen, max_age=clock.YEAR_SECONDS, secure=secure, httponly=True, samesite="Lax")
    return response


def came_from() -> str:
    """Return the page of this server that the request was sent from, else the inbox."""
    back = trusted_hosts.split_url(request.referrer)
    return safe_next(_path(back)) if trusted_hosts.is_same_host(back) else HOME


def _signed_out() -> Response:
    # No Clear-Site-Data: it takes "cookies" from every host of the domain, and no page is stored ("no-store").
    cookie.clear()
    return rendering.see_other("/login")


def _form(status: int = 200, error: str | None = None, email: str = "") -> Response:
    wanted = request.args.get("next")
    wanted = safe_next(wanted) if wanted else None
    return rendering.render(
        "session/login.html",
        None,
        status=status,
        error=error,
        ended=ENDED if "ended" in cookie else None,
        email=email[:254],
        next=wanted,
        sso=bool(settings.current().oidc_issuer),
    )


def _too_many_attempts(wait: int) -> Response:
    response = _form(429, f"Too many attempts. Try again in {wait} s.", request.form.get("email", ""))
    response.headers["Retry-After"] = str(wait)
    return response


def _load_once(session_key: str) -> LoginUser | None:
    # Flask-Login loads an unknown user again on each access: the error page for an unavailable database must not
    # query it a second time.
    if g.get("user_not_loaded"):
        return None
    g.user_not_loaded = True
    user = _load(session_key)
    g.user_not_loaded = False
    return user


def _load(session_key: str) -> LoginUser | None:
    now, since, seen = _now(), cookie.get("since", 0), cookie.get("seen", 0)
    if "id" not in cookie or now - since > sessions.MAX_AGE.total_seconds() or now - seen > IDLE.total_seconds():
        return None
    found = sign_in.find_session(session_key, cookie["id"])
    if found is None:
        return None
    if now - seen > SEEN_INTERVAL.total_seconds() and request.endpoint not in POLLED_ENDPOINTS:
        cookie["seen"] = now
    return LoginUser(found.user, found.accounts)


def _refuse_guesses() -> Response | None:
    # First, as an attacker may guess a hundred times a second.
    wait = login_throttle.refused_seconds(request.remote_addr or "") if request.endpoint == "session.enter" else 0
    return _too_many_attempts(wait) if wait else None


def _refuse_other_sites() -> None:
    if request.method in ("GET", "HEAD", "OPTIONS", "TRACE") or request.blueprint in (
        rendering.PLAIN_TEXT_BLUEPRINT,
        rendering.API_BLUEPRINT,
    ):
        return
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin") or request.referrer
    if site is None and origin is not None:
        site = "same-origin" if trusted_hosts.is_same_host(trusted_hosts.split_url(origin)) else "cross-site"
    if site not in (None, "same-origin", "none"):
        raise Forbidden("This was sent from another site. Nothing was changed.")


def _require_sign_in() -> Response | None:
    if request.endpoint is None or request.endpoint in PUBLIC_ENDPOINTS or request.blueprint == rendering.API_BLUEPRINT:
        return None
    if current_user.is_authenticated:
        return None
    htmx = request.headers.get("HX-Request") == "true"
    if cookie.pop("_user_id", None) or htmx:  # htmx asks from a page of an earlier session
        cookie["ended"] = True  # until the next sign-in: each open tab shows it
    here = request.full_path.removesuffix("?")
    if htmx:
        response = error_pages.render_error(401, ENDED)
        current = _path(trusted_hosts.split_url(request.headers.get("HX-Current-URL")))
        response.headers["HX-Redirect"] = _login(here if request.endpoint in _PAGES else current)
        return response
    asked = here if request.method in ("GET", "HEAD") else _path(trusted_hosts.split_url(request.referrer))
    return rendering.see_other(_login(asked))


def _refuse_nul() -> Response | None:
    # PostgreSQL can't store or compare NUL. The API replaces it itself: what its clients look for is not found.
    if request.blueprint == rendering.API_BLUEPRINT:
        return None
    sent = [request.path, request.query_string.decode("latin-1").replace("%00", NUL)]
    if request.method == "POST" and request.blueprint != rendering.PLAIN_TEXT_BLUEPRINT:
        sent += [part for pair in request.form.items(multi=True) for part in pair]
    if not any(NUL in part for part in sent):
        return None
    return error_pages.render_error(
        400, "The request has a NUL character in its URL or form. Nothing was changed. Remove it."
    )


def _record_refusal(response: Response) -> Response:
    if response.status_code in (403, 404) and request.url_rule and request.blueprint != rendering.API_BLUEPRINT:
        try:
            signed_in = request.endpoint not in PUBLIC_ENDPOINTS and current_user.is_authenticated
            who, address = viewer() if signed_in else STRANGER, request.remote_addr or ""
            refusals.record_response(who, response.status_code, address=address, route=route())
        except Exception:  # of a database that is unavailable, for instance: the response stays what it is
            logger.exception("refused attempt not recorded")
    return response


def _path(url: SplitResult) -> str:
    return f"{url.path}?{url.query}".rstrip("?")


def _login(wanted: str) -> str:
    target = safe_next(wanted)
    return "/login" if target == HOME else f"/login?next={quote(target, safe='/')}"


def _now() -> int:
    return int(clock.now().timestamp())
