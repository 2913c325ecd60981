"""Tables, and nothing but tables."""
