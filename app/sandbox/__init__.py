"""A stand-in for Meta on this machine: a process of its own that shares no code with what it tests."""
