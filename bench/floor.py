"""The floor: a bare Flask app on the same kind of server, whose routes do the least that ours could do."""

import sqlite3
import threading
from pathlib import Path

from flask import Flask, request

_connections = threading.local()


def create_app(folder: str) -> Flask:
    """Return an app with `/hello` and `/insert`, which stores the body with one INSERT and commits it durably."""
    app = Flask("floor")
    path = Path(folder) / "floor.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE IF NOT EXISTS bodies (id INTEGER PRIMARY KEY, body BLOB)")

    @app.get("/hello")
    def hello() -> str:
        return "hello"

    @app.post("/insert")
    def insert() -> str:
        connection = _connection(path)
        connection.execute("INSERT INTO bodies (body) VALUES (?)", (request.get_data(),))
        connection.commit()
        return ""

    return app


def _connection(path: Path) -> sqlite3.Connection:
    if not hasattr(_connections, "one"):
        _connections.one = sqlite3.connect(path, timeout=10)
        _connections.one.execute("PRAGMA synchronous=FULL")
    connection: sqlite3.Connection = _connections.one
    return connection
