"""Tests of app/inbox."""
