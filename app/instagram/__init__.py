"""Meta's language: what it sends and answers, in our words."""
