"""Connected accounts: connecting, access tokens, webhook subscriptions and health."""
