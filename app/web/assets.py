"""Static files: addresses that carry a fingerprint, caching to match, and the fingerprint of the whole deploy."""

import hashlib
from functools import lru_cache
from pathlib import Path

from flask import Flask, Response, request, url_for

from app.clock import YEAR_SECONDS

_CODE = Path(__file__).resolve().parents[1]


def init_app(app: Flask) -> None:
    """Give templates `asset('app.css')`, and let browsers keep what is asked for by its fingerprint."""
    folder = Path(app.static_folder or "")

    @lru_cache(maxsize=64)
    def asset(name: str) -> str:
        return url_for("static", filename=name, v=fingerprint(folder / name))

    def keep(response: Response) -> Response:
        if request.endpoint != "static" or response.status_code not in (200, 206, 304):
            return response
        asked, name = request.args.get("v"), (request.view_args or {}).get("filename", "")
        if asked and asked == fingerprint(folder / name):
            response.headers["Cache-Control"] = f"public, max-age={YEAR_SECONDS}, immutable"
        else:
            response.headers["Cache-Control"] = "no-cache"
        return response

    app.add_template_global(asset, "asset")
    app.after_request(keep)


@lru_cache(maxsize=64)
def fingerprint(path: Path) -> str:
    """Return the short hash of one file's content, "missing" where there is none."""
    return hashlib.blake2s(path.read_bytes(), digest_size=6).hexdigest() if path.is_file() else "missing"


@lru_cache(maxsize=1)
def deploy_id() -> str:
    """Return what changes whenever code, templates or static files do, so that no page outlives a deploy."""
    digest = hashlib.blake2s(digest_size=6)
    for folder in (_CODE, _CODE.parent / "templates", _CODE.parent / "static"):
        for path in sorted(path for path in folder.rglob("*") if path.suffix in _SEEN):
            digest.update(path.read_bytes())
    return digest.hexdigest()


_SEEN = (".py", ".html", ".css", ".js", ".svg")
