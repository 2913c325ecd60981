"""`python -m app.sandbox`: serve the sandbox on loopback until SIGTERM or Ctrl-C."""

import argparse
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from app.sandbox.control import LOOPBACK, Control
from app.sandbox.faults import Faults
from app.sandbox.sender import Sender
from app.sandbox.server import Handler, Server
from app.sandbox.world import Choices, World


def main(argv: list[str] | None = None) -> int:
    """Serve until a signal; return the exit status."""
    options = _options().parse_args(argv)
    if options.host not in LOOPBACK:
        print("The sandbox listens on this machine only: --host must be 127.0.0.1, ::1 or localhost.", file=sys.stderr)
        return 2
    server = Server((options.host, options.port), Handler)
    base_url = f"http://{options.host}:{server.server_port}"
    choices = Choices(options.latency_ms, options.calls_per_hour, options.pace, hour_seconds=options.hour_seconds)
    server.world = World.create(base_url, choices, contacts=options.people, seed=options.seed)
    server.faults = Faults()
    server.sender = Sender(server.world, options.webhook_url)
    server.control = Control(server.world, server.faults, server.sender, contacts=options.people, seed=options.seed)
    _stop_on_signals(server)
    if options.port_file:
        options.port_file.write_text(str(server.server_port))
    print(f"Sandbox listens on {base_url}", flush=True)
    server.sender.start(backlog=options.backlog)
    server.serve_forever(poll_interval=0.1)
    server.server_close()
    return 0


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nametag sandbox", description="A local stand-in for Meta's API.")
    parser.add_argument("--host", default="127.0.0.1", help="loopback address or localhost (default %(default)s)")
    parser.add_argument("--port", type=int, default=8010, help="port; 0 chooses a free one (default %(default)s)")
    parser.add_argument("--port-file", type=Path, help="file to write the port to")
    parser.add_argument("--webhook-url", help="URL for signed webhooks; without it none are sent")
    parser.add_argument("--pace", type=_pace, default="off", help="off, demo, or events per second (default off)")
    parser.add_argument("--people", type=int, default=300, help="number of contacts (default %(default)s)")
    parser.add_argument("--seed", type=int, default=7, help="seed of the generated contacts (default %(default)s)")
    parser.add_argument(
        "--latency-ms", type=int, default=150, help="latency of each Graph API call (default %(default)s)"
    )
    parser.add_argument("--calls-per-hour", type=int, default=200, help="rate limit per account (default %(default)s)")
    parser.add_argument(
        "--hour-seconds", type=int, default=3600, help="length of the rate limit's hour (default %(default)s)"
    )
    parser.add_argument("--backlog", type=int, default=0, help="number of older messages to send first (default 0)")
    return parser


def _pace(value: str) -> str:
    if value not in ("off", "demo") and not 0 < float(value) <= 1000:
        raise ValueError(value)
    return value


def _stop_on_signals(server: Server) -> None:
    def stop(_number: int, _frame: FrameType | None) -> None:
        threading.Thread(target=server.shutdown, daemon=True).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


if __name__ == "__main__":
    sys.exit(main())
