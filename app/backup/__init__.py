"""Back up and restore an installation, and copy it to another database."""
