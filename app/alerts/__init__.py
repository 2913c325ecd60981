"""Alerts: problems that are reported once when they begin and once when they have recovered."""
