"""What Meta says becomes rows."""
