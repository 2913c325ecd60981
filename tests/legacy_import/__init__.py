"""Tests of app/legacy_import."""
