"""The door for browsers: views without rules, queries or transactions."""
