"""Tests of app/erasure."""
