"""Tests of app/instagram."""
