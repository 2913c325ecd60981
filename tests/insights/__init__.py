"""Tests of app/insights."""
