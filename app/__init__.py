"""Nametag: an operations inbox for Instagram direct messages."""
