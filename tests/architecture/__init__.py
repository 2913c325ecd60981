"""Rules about code and documents: names, permissions, tables, dependencies."""
