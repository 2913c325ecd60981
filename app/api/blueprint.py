"""The blueprint of the API, its OpenAPI document, and the page with Swagger UI."""

from collections.abc import Callable
from functools import cache
from typing import Any

from flask import Response, render_template
from flask_openapi3 import APIBlueprint, Info, OpenAPI

from app import installation, text
from app.api import (
    accounts,
    alert_receivers,
    alerts,
    auth,
    avatars,
    conversations,
    dead_letters,
    errors,
    health,
    identities,
    insights,
    jobs,
    privacy,
    responses,
    schedules,
)

SECURITY: dict[str, Any] = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API token. Create one with `nametag token create NAME --scopes read,jobs`.",
    }
}
# Swagger UI needs inline styles; everything is loaded from this server.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Nametag(OpenAPI):
    """The Flask app with an OpenAPI document. All its views are synchronous."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return `func` unchanged: the check for coroutines runs fifteen times per request."""
        return func


def new_app(name: str, **options: Any) -> OpenAPI:
    """Return a Flask app without routes, for `init_app`."""
    info = Info(
        title="Nametag",
        version=installation.VERSION,
        description=(
            "Read conversations, messages and contact identities, and run lookup jobs. "
            "Authenticate with an API token: `Authorization: Bearer nametag_…`."
        ),
    )
    return Nametag(
        name, info=info, security_schemes=SECURITY, doc_ui=False, validation_error_model=responses.Problem, **options
    )


def init_app(app: OpenAPI) -> APIBlueprint:
    """Add the API to `app`. Return its blueprint, which needs no CSRF protection."""
    app.validation_error_callback = errors.validation_error
    blueprint = _api(described=False)
    app.register_api(blueprint)
    return blueprint


@cache  # generated when it is first read: it takes longer than everything else in create_app
def document() -> dict[str, Any]:
    """Return the OpenAPI document."""
    app = new_app("nametag")
    app.register_api(_api(described=True))
    found: dict[str, Any] = app.api_doc
    return found


@cache
def _api(*, described: bool) -> APIBlueprint:
    api = APIBlueprint(
        "api",
        __name__,
        abp_security=[{"token": []}],
        abp_responses=responses.PROBLEMS,
        operation_id_callback=_operation_id,
        doc_ui=described,
    )
    auth.register(api)
    for part in (
        *(conversations, jobs, schedules, identities, privacy, accounts, dead_letters, insights),
        *(avatars, health, alerts, alert_receivers),
    ):
        part.register(api)
    api.add_url_rule("/api/openapi.json", "document", document)
    api.add_url_rule("/api/docs", "explorer", _explorer)
    return api


def _operation_id(*, name: str, path: str, method: str) -> str:  # noqa: ARG001 - as the library calls it
    """Return the ID of an operation: the name of its function, `list_jobs`, becomes `listJobs`."""
    return text.camel_case(name)


def _explorer() -> Response:
    page = Response(render_template("api/explorer.html"), content_type="text/html; charset=utf-8")
    page.headers["Content-Security-Policy"] = POLICY
    return page
