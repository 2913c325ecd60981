"""Alive, ready and metrics, for process managers, load balancers and Prometheus; the Health page for ops and admins."""

import hmac

from flask import Blueprint, Response, request

from app import doctor, findings, metrics, readiness, settings
from app.viewer import Role
from app.web import account_selection, rendering, session, trusted_hosts

blueprint = Blueprint("health", __name__)


@blueprint.get(trusted_hosts.HEALTH)
def alive() -> Response:
    """Return 200 while the process is alive, without database and Redis."""
    return _text("ok", 200)


@blueprint.get(trusted_hosts.READY)
def ready() -> Response:
    """Return 200 while database and Redis can be used, else 503 with the names of what is missing."""
    missing = readiness.missing()
    return _text(f"not ready: {', '.join(missing)}", 503) if missing else _text("ready", 200)


@blueprint.get(trusted_hosts.METRICS)
def scrape() -> Response:
    """Return the metrics for Prometheus to a client with METRICS_TOKEN; 404 while it is not set."""
    token = settings.current().metrics_token
    if not token:
        return _text("Metrics are off. Set METRICS_TOKEN to switch them on.", 404)
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not hmac.compare_digest(given.encode(), token.encode()):
        answer = _text("Send METRICS_TOKEN as a bearer token.", 401)
        answer.headers["WWW-Authenticate"] = "Bearer"
        return answer
    return Response(metrics.render(), content_type=metrics.CONTENT_TYPE)


@blueprint.get("/health")
def page() -> Response:
    """Show the findings of the last health checks."""
    session.viewer().require(Role.OPS)
    return _findings("health/page.html")


@blueprint.post("/health/check")
def check() -> Response:
    """Run the health checks now."""
    doctor.check_now(session.viewer())
    return _findings(None)


def _findings(whole: str | None) -> Response:
    viewer = session.viewer()
    selection = account_selection.select()
    report = findings.report(viewer)
    return rendering.render(whole, "health/_findings.html", selection=selection, home="/health", report=report)


def _text(text: str, status: int) -> Response:
    return Response(text, status, content_type="text/plain; charset=utf-8")
