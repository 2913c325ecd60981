"""Static files: URLs with a fingerprint, compressed variants, cache headers, and an ID of the deployed code."""

import hashlib
from functools import lru_cache
from pathlib import Path

from flask import Flask, Response, request, url_for
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response as BaseResponse
from whitenoise import WhiteNoise

from app import installation
from app.clock import YEAR_SECONDS


def init_app(app: Flask) -> None:
    """Serve static files, and add `asset('app.css')` to templates.

    A browser keeps a file whose URL has the fingerprint for a year. A wheel contains the files compressed, too.
    """
    folder = Path(app.static_folder or "")
    files = WhiteNoise(
        NotFound(),
        folder,
        "static",
        autorefresh=not installation.is_package(),  # a checkout is edited while it runs
        max_age=None,
        allow_all_origins=False,
    )

    @lru_cache(maxsize=64)
    def asset(name: str) -> str:
        return url_for("static", filename=name, v=fingerprint(folder / name))

    def serve(filename: str) -> BaseResponse:  # noqa: ARG001 - of the route; WhiteNoise reads the path
        # Not around the app, where a file would have no security headers, and be served to untrusted hosts.
        response = Response.from_app(files, request.environ)
        if response.status_code == NotFound.code:
            raise NotFound
        return response

    def add_cache_header(response: Response) -> Response:
        if request.endpoint != "static" or response.status_code not in (200, 206, 304):
            return response
        version, name = request.args.get("v"), (request.view_args or {}).get("filename", "")
        if version and version == fingerprint(folder / name):
            response.headers["Cache-Control"] = f"public, max-age={YEAR_SECONDS}, immutable"
        else:
            response.headers["Cache-Control"] = "no-cache"
        return response

    app.view_functions["static"] = serve
    app.add_template_global(asset, "asset")
    app.after_request(add_cache_header)


@lru_cache(maxsize=64)
def fingerprint(path: Path) -> str:
    """Return a short hash of a file's content, "missing" without the file."""
    return hashlib.blake2s(path.read_bytes(), digest_size=6).hexdigest() if path.is_file() else "missing"


@lru_cache(maxsize=1)
def deploy_id() -> str:
    """Return a hash of code, templates and static files, so that polled parts are reloaded after a deploy."""
    digest = hashlib.blake2s(digest_size=6)
    for folder in (installation.PACKAGE, installation.root() / "templates", installation.root() / "static"):
        for path in sorted(path for path in folder.rglob("*") if path.suffix in _SUFFIXES):
            digest.update(path.read_bytes())
    return digest.hexdigest()


_SUFFIXES = (".py", ".html", ".css", ".js", ".svg")
