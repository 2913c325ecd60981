"""Users and API tokens: sign-in, passwords, sessions and rate limits."""
