"""Tests of app/users."""
