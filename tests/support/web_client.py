"""The HTTP client of web tests: each request runs in a context of its own, as on a real server."""

from contextvars import Context
from typing import Any

from flask import has_app_context
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.db.engine import db


class WebClient(FlaskClient):
    """A test client whose requests share neither `g` nor a session with the test that makes them."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        """Make one request; afterwards the test's own reads see what it committed."""
        context = Context()
        response: TestResponse = context.run(super().open, *args, **kwargs)
        context.run(response.get_data)  # streamed bodies are produced while they are read
        if has_app_context():
            db.session.rollback()
        return response
