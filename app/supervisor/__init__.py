"""The processes of `nametag up`: a supervisor, and the private Redis server."""
