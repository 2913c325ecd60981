"""Connected professional accounts."""
