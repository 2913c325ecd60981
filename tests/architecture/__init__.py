"""Tests of the house: layout, names, sizes."""
