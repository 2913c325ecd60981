"""Tests of many processes together."""
