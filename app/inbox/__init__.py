"""What pages and programs read of conversations."""
