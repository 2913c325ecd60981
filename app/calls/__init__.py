"""May we call Meta, and what did it cost."""
