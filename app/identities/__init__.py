"""Who is that? Names, where they come from, and why one is missing."""
