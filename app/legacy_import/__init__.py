"""One-off import of names from the tables of an older system."""
