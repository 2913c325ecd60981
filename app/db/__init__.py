"""The database: engine, column types, write transactions, migrations."""
