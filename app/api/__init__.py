"""The JSON API for integrations, and its OpenAPI document."""
