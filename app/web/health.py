"""Is this process alive: for supervisors and load balancers, without touching anything."""

from flask import Blueprint, Response

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def alive() -> Response:
    """Say so."""
    return Response("ok", content_type="text/plain; charset=utf-8")
