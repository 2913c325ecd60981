"""Tests of app/identities."""
