"""Real parts for tests to run on: servers, databases, processes, a browser."""
