"""Conversations for pages and API: list, thread, details and search."""
