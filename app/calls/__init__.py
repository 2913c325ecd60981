"""Access to Meta's API: call gateway, API call budget, circuit breaker, call refusals, call log."""
