"""The `nametag` command with leases and claims of six seconds, in tests that wait for the next worker after a kill."""

from datetime import timedelta

from app.identities import claims
from app.runs import fencing

SHORT = timedelta(seconds=6)

if __name__ == "__main__":
    claims.CLAIM = fencing.LEASE = SHORT  # before others import them by name
    from app.cli.main import main

    main()
