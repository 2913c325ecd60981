"""The processes of one installation, kept alive together."""
