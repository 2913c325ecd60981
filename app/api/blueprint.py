"""The API put together: its blueprint, its OpenAPI document, and a page to try it."""

from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from typing import Any

from flask import Response, current_app, render_template
from flask_openapi3 import APIBlueprint, Info, OpenAPI

from app.api import accounts, auth, avatars, conversations, errors, identities, jobs, responses

SECURITY: dict[str, Any] = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API token: `nametag token create NAME --scopes read,jobs`.",
    }
}
# Swagger UI styles itself in the page; everything comes from here all the same.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Nametag(OpenAPI):
    """The Flask app, whose functions are all synchronous."""

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return `func` as it is: looking whether each is a coroutine costs every request fifteen times."""
        return func


def new_app(name: str, **options: Any) -> OpenAPI:
    """Return an empty app that can carry the API."""
    info = Info(
        title="Nametag",
        version=version("nametag"),
        description="Conversations of Instagram accounts with the names of their contacts, and jobs that look them up.",
    )
    return Nametag(
        name, info=info, security_schemes=SECURITY, doc_ui=False, validation_error_model=responses.Problem, **options
    )


def init_app(app: OpenAPI) -> APIBlueprint:
    """Add the API to `app`; returns its blueprint, which is exempt from what protects browsers."""
    app.validation_error_callback = errors.validation_error
    app.register_api(_api())
    return _api()


@cache  # most of what making an app takes; nothing in it depends on the app
def _api() -> APIBlueprint:
    api = APIBlueprint(
        "api",
        __name__,
        abp_security=[{"token": []}],
        abp_responses=responses.PROBLEMS,
        operation_id_callback=_operation_id,
    )
    auth.register(api)
    for part in (conversations, jobs, identities, accounts, avatars):
        part.register(api)
    api.add_url_rule("/api/openapi.json", "document", _document)
    api.add_url_rule("/api/docs", "explorer", _explorer)
    return api


def _operation_id(*, name: str, path: str, method: str) -> str:  # noqa: ARG001 - as the library calls it
    """Return the ID of an operation: the name of its function, `list_jobs`, becomes `listJobs`."""
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def _document() -> dict[str, Any]:
    document: dict[str, Any] = current_app.api_doc  # type: ignore[attr-defined]  # the app is an OpenAPI
    return document


def _explorer() -> Response:
    page = Response(render_template("api/explorer.html"), content_type="text/html; charset=utf-8")
    page.headers["Content-Security-Policy"] = POLICY
    return page
