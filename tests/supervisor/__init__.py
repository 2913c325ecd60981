"""Tests of app/supervisor."""
