"""Backfill and refresh: runs with a ledger."""
