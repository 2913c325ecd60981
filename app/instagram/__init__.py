"""Meta's APIs: webhook parsing, the Graph API client, OAuth, and pictures. Knows no database and no settings."""
