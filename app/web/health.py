"""Liveness check for process managers and load balancers, without database and Redis."""

from flask import Blueprint, Response

from app.web import trusted_hosts

blueprint = Blueprint("health", __name__)


@blueprint.get(trusted_hosts.HEALTH)
def alive() -> Response:
    """Return 200 while the process is alive."""
    return Response("ok", content_type="text/plain; charset=utf-8")
