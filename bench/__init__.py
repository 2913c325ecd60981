"""Measurements of the figures in docs/performance.md, each with a baseline from the same run."""
