"""Tests of app/runs."""
