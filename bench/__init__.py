"""Measurements of the figures that docs/performance.md states, each beside a floor taken in the same run."""
