"""Static files: URLs with a fingerprint, cache headers, and an ID of the deployed code."""

import hashlib
from functools import lru_cache
from pathlib import Path

from flask import Flask, Response, request, url_for

from app.clock import YEAR_SECONDS

_CODE = Path(__file__).resolve().parents[1]


def init_app(app: Flask) -> None:
    """Add `asset('app.css')` to templates, and cache headers to static files: a year for URLs with a fingerprint."""
    folder = Path(app.static_folder or "")

    @lru_cache(maxsize=64)
    def asset(name: str) -> str:
        return url_for("static", filename=name, v=fingerprint(folder / name))

    def add_cache_header(response: Response) -> Response:
        if request.endpoint != "static" or response.status_code not in (200, 206, 304):
            return response
        version, name = request.args.get("v"), (request.view_args or {}).get("filename", "")
        if version and version == fingerprint(folder / name):
            response.headers["Cache-Control"] = f"public, max-age={YEAR_SECONDS}, immutable"
        else:
            response.headers["Cache-Control"] = "no-cache"
        return response

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
    for folder in (_CODE, _CODE.parent / "templates", _CODE.parent / "static"):
        for path in sorted(path for path in folder.rglob("*") if path.suffix in _SUFFIXES):
            digest.update(path.read_bytes())
    return digest.hexdigest()


_SUFFIXES = (".py", ".html", ".css", ".js", ".svg")
