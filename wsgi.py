"""The WSGI app, for servers other than `nametag web` and for `flask --app wsgi`."""

from app.factory import create_app

app = create_app()
