"""Tables, one module per owner. No queries and no rules."""
