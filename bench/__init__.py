"""Measurements of the figures that docs/performance.md states, each beside a baseline taken in the same run."""
