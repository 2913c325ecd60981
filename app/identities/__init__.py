"""Names of contacts: where they come from, how long they are fresh, and why one is missing."""
