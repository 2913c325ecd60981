"""The command line: `nametag COMMAND`."""
