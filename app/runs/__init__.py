"""Backfill and refresh jobs (`runs`), and their items: one per contact, with the result of its lookup."""
