"""The door for programs: the JSON API, its document and its tokens. Holds no rule and no query."""
