"""Is this process alive: for supervisors and load balancers, without touching anything."""

from flask import Blueprint, Response

from app.web import trusted_hosts

blueprint = Blueprint("health", __name__)


@blueprint.get(trusted_hosts.HEALTH)
def alive() -> Response:
    """Say so."""
    return Response("ok", content_type="text/plain; charset=utf-8")
