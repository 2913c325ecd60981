"""Web pages and webhooks: views that call one function of a package and render its result."""
