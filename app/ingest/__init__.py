"""Ingest: store Meta's webhook events and synced conversations in the database."""
