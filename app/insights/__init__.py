"""Insights: figures and charts of how contacts are identified."""
