"""The database: engine, column types, the one way to write."""
