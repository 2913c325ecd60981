"""Sandbox: a local stand-in for Meta's API in a process of its own. Shares no code with Nametag."""
