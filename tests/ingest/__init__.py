"""Tests of app/ingest."""
