"""Static files: URLs with a fingerprint, cache headers, and the ID of a deployment."""

from pathlib import Path

from flask.testing import FlaskClient

from app.web import assets

ROOT = Path(__file__).parents[2]


def test_pages_ask_for_files_by_their_fingerprint(client: FlaskClient) -> None:
    css = assets.fingerprint(ROOT / "static" / "app.css")
    assert f"/static/app.css?v={css}" in client.get("/login").text
    with client.get(f"/static/app.css?v={css}") as answer:
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_a_file_asked_for_otherwise_is_asked_for_again(client: FlaskClient) -> None:
    for address in ("/static/app.css", "/static/app.css?v=older"):
        with client.get(address) as answer:
            assert answer.headers["Cache-Control"] == "no-cache"


def test_a_missing_file_is_not_kept(client: FlaskClient) -> None:
    answer = client.get("/static/missing.css?v=missing")
    assert answer.status_code == 404
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert client.get("/static/../app/settings.py").status_code == 404


def test_the_deploy_has_one_id() -> None:
    assert assets.deploy_id() == assets.deploy_id()
    assert len(assets.deploy_id()) == 12
