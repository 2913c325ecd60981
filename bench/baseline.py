"""The baseline: a bare Flask app on the same kind of server, with two minimal routes."""

import sqlite3
import threading
from typing import Any

import psycopg
from flask import Flask, request
from sqlalchemy.engine import make_url

_connections = threading.local()


def create_app(address: str) -> Flask:
    """Return an app with `/hello` and `/insert`, which stores the body with one INSERT and commits it durably.

    `address` is that of a database of ours, SQLite or PostgreSQL; the baseline has a table of its own there.
    """
    app = Flask("baseline")
    connection = _connection(address)
    connection.execute("CREATE TABLE IF NOT EXISTS floor_bodies (body BYTEA)")
    connection.commit()
    del _connections.one  # each thread of a worker opens its own
    connection.close()
    mark = "?" if address.startswith("sqlite") else "%s"

    @app.get("/hello")
    def hello() -> str:
        return "hello"

    @app.post("/insert")
    def insert() -> str:
        connection = _connection(address)
        connection.execute(f"INSERT INTO floor_bodies (body) VALUES ({mark})", (request.get_data(),))
        connection.commit()
        return ""

    return app


def _connection(address: str) -> Any:
    if not hasattr(_connections, "one"):
        _connections.one = _opened(address)
    return _connections.one


def _opened(address: str) -> Any:
    if not address.startswith("sqlite"):
        url = make_url(address).set(drivername="postgresql")
        return psycopg.connect(url.render_as_string(hide_password=False))
    connection = sqlite3.connect(address.removeprefix("sqlite:///") + ".baseline", timeout=10)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    return connection
